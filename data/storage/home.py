"""The home: the directory that holds an installation, and who may read it.

Anyone who can read the home is the operator, so its modes protect everything: 0700 for the directory,
0600 for its files, including the database's side files.
"""

import fcntl
import os
import pwd
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from data.errors import ExplainedError
from data.storage.files import read_plain
from data.storage.vault import KEY_BYTES, Ring, Vault, check_value_of

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_OTHERS = 0o077
_EVERYBODY = 0o007
_NODE_BYTES = 8
_KEY_FILE_BYTES = 65_536
_CHECK_VALUE = re.compile("[0-9a-f]{32}")
_MOST_KEYS = 2
"""Master keys that are valid at a time: two during a rotation."""


class HomeError(ExplainedError):
    """The home cannot be used; the message says why and what to do, in one line."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of an installation; `key_file` is the master key's path if that is kept elsewhere."""

    path: Path
    key_file: Path | None = None

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.path / "twofold.toml"

    @property
    def database(self) -> Path:
        """The embedded database."""
        return self.path / "twofold.db"

    @property
    def master_key(self) -> Path:
        """The key under which secrets are sealed."""
        return self.key_file or self.path / "master.key"

    @property
    def host_key(self) -> Path:
        """The SSH server's private key."""
        return self.path / "ssh_host_ed25519_key"

    @property
    def node(self) -> Path:
        """The file with the name of this home among those that serve one database."""
        return self.path / "node.id"

    @property
    def initialised(self) -> bool:
        """Whether there is an installation here, or the remains of one."""
        # A master key that is kept elsewhere may exist before anything else.
        sign = self.host_key if self.key_file else self.master_key
        return any(file.exists() for file in (self.database, sign))

    def create(self, settings: str, host_key: bytes) -> None:
        """Create the directory, the settings file and both keys, or none; existing files are kept.

        Raises:
            HomeError: when the directory cannot be created, or is accessible to others.
        """
        key = secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n"
        files = ((self.settings, settings.encode()), (self.master_key, key), (self.host_key, host_key))
        made: list[Path] = []
        try:
            self.path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            self._check_modes()
            for file, content in files:
                if _write_new(file, content):
                    made.append(file)
        except OSError as error:
            for file in made:
                file.unlink()
            raise HomeError(f"The home {self.path} cannot be written: {error.strerror}.") from None

    def discard(self) -> None:
        """Remove the files that a failed `init` has created, so that it can be tried again.

        A master key that is kept elsewhere stays: other databases may be sealed under it.
        """
        key = () if self.key_file else (self.master_key,)
        made = (self.database, self.host_key, self.settings, self.node)
        for file in (*key, *made, *self._side_files()):
            file.unlink(missing_ok=True)

    def check(self) -> None:
        """Refuse a home that is missing, incomplete or accessible to others; the database has its own check.

        Raises:
            HomeError: with what to do.
        """
        if not self.path.is_dir() or not self.initialised:
            raise HomeError(
                f"There is no installation in {self.path}. Create one with: {self.command('init')}"
            )
        self._check_modes()
        if self.key_file is not None and not self.key_file.is_file():
            raise HomeError(f"There is no master key at {self.key_file}. Check --master-key.")
        for file, meaning in (
            (self.master_key, "master key"),
            (self.host_key, "host key"),
        ):
            if not file.is_file():
                raise _missing(meaning, file)

    def check_database(self) -> None:
        """Refuse a home whose embedded database is missing.

        Raises:
            HomeError: with what to do.
        """
        if not self.database.is_file():
            raise _missing("database", self.database)

    def check_owner(self) -> None:
        """Refuse to send from a home that someone else can change: their settings would run programs as us.

        The master key may belong to someone else if it is kept elsewhere.

        Raises:
            HomeError: with what to do.
        """
        files = (self.path, self.settings, self.database, self.host_key, self.node, *self._side_files())
        ours = os.geteuid()
        for file in files:
            if file.exists() and (owner := file.stat().st_uid) != ours:
                chown = join(["chown", "-R", _user(ours), str(self.path)])
                raise HomeError(
                    f"{file} belongs to the user {_user(owner)}, but this runs as {_user(ours)}. Run this "
                    f"as its owner, or take it over with: {chown}"
                )

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Lock the home for one server and yield its node name.

        The lock ends with the process, however that ends.

        Raises:
            HomeError: when another server is using this home, or it cannot be named.
        """
        busy = f"A server is using {self.path}. Stop it first."
        with _held(self.path, busy):
            yield self._node_name()

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """Lock the master key for one rotation.

        Raises:
            HomeError: when it is already being rotated.
        """
        # This file of a home is never replaced by another with its name.
        with _held(self.host_key, f"{self.master_key} is already being rotated. Wait until that is done."):
            yield

    def _node_name(self) -> str:
        """Read the node's name; it is generated the first time."""
        try:
            _write_new(self.node, secrets.token_hex(_NODE_BYTES).encode())
            name = read_plain(self.node, _KEY_FILE_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise HomeError(
                f"The node's name in {self.node} is not readable: {type(error).__name__}."
            ) from None
        if len(name) != 2 * _NODE_BYTES:
            raise HomeError(
                f"The node's name in {self.node} is damaged. Remove that file; a new one is created."
            )
        return name

    def open_vault(self) -> Vault:
        """Read the master keys; the vault reads them again when the database is sealed under another.

        Raises:
            HomeError: when they are unreadable or damaged; the message shows no part of them.
        """
        return Vault(*self.read_ring(), reread=self._ring_now)

    def read_ring(self) -> Ring:
        """Read the master keys, oldest first: one, or two during a rotation.

        Raises:
            HomeError: when they are unreadable or damaged; the message shows no part of them.
        """
        try:
            content = read_plain(self.master_key, _KEY_FILE_BYTES)
            ring = tuple(bytes.fromhex(line) for line in content.decode("ascii").split())
        except (OSError, ValueError):
            ring = ()
        if not 1 <= len(ring) <= _MOST_KEYS or any(len(key) != KEY_BYTES for key in ring):
            raise HomeError(
                f"The master key {self.master_key} is damaged. Restore it from a backup of this home."
            )
        return ring

    def write_ring(self, ring: Ring) -> None:
        """Replace the master keys; at every moment the file holds either all old ones or all new ones.

        Raises:
            HomeError: when they cannot be written; the old ones stay.
        """
        draft = self.master_key.with_name(f"{self.master_key.name}.new")
        try:
            draft.unlink(missing_ok=True)
            _write_new(draft, b"".join(key.hex().encode() + b"\n" for key in ring))
            draft.replace(self.master_key)
            _sync_directory(self.master_key.parent)
        except OSError as error:
            raise HomeError(
                f"The master key {self.master_key} cannot be written: {error.strerror}."
            ) from None

    def _ring_now(self) -> Ring:
        try:
            return self.read_ring()
        except HomeError:
            return ()

    def kept_key(self, check: str) -> Path:
        """Return the file of a master key that was rotated away, by its check value."""
        return self.master_key.with_name(f"{self.master_key.name}.{check}")

    def kept_keys(self) -> dict[str, Path]:
        """Find the master keys that were rotated away and not forgotten, by their check values."""
        found = (path for path in self.master_key.parent.glob(f"{self.master_key.name}.*") if path.is_file())
        checks = {path.name.removeprefix(f"{self.master_key.name}."): path for path in found}
        return {check: path for check, path in sorted(checks.items()) if _CHECK_VALUE.fullmatch(check)}

    def keep_key(self, key: bytes) -> Path:
        """Keep a master key that is rotated away, next to the new one; return its file.

        Raises:
            HomeError: when it cannot be written.
        """
        file = self.kept_key(check_value_of(key))
        try:
            _write_new(file, key.hex().encode() + b"\n")
            _sync_directory(file.parent)
        except OSError as error:
            raise HomeError(f"The old master key {file} cannot be written: {error.strerror}.") from None
        return file

    def read_host_key(self) -> bytes:
        """Read the SSH server's private key.

        Raises:
            HomeError: when it cannot be read.
        """
        try:
            return read_plain(self.host_key, _KEY_FILE_BYTES)
        except OSError as error:
            raise HomeError(f"The host key {self.host_key} cannot be read: {error.strerror}.") from None

    def command(self, command: str) -> str:
        """Return a command line for this home, for messages that say what to do next."""
        key = f" --master-key {quote(str(self.key_file))}" if self.key_file else ""
        return f"twofold --home {quote(str(self.path))}{key} {command}"

    def _side_files(self) -> list[Path]:
        name = self.database.name
        return [self.database.with_name(name + suffix) for suffix in ("-wal", "-shm", "-journal")]

    def _check_modes(self) -> None:
        if _is_open(self.path):
            raise HomeError(
                f"The home {self.path} is accessible to others. Restrict it with: {_chmod(700, self.path)}"
            )
        files = [self.settings, self.database, self.host_key, self.node, *self._side_files()]
        files += self.kept_keys().values()
        if self.key_file is None:
            files.append(self.master_key)
        elif self.key_file.exists() and self.key_file.stat().st_mode & _EVERYBODY:
            # The group bits of a credential file are the mask of an access list that names only the service.
            key = self.key_file
            raise HomeError(
                f"The master key {key} is accessible to everyone. Restrict it with: {_chmod(600, key)}"
            )
        wide = [file for file in files if file.exists() and _is_open(file)]
        if wide:
            raise HomeError(
                f"Files of the home are accessible to others. Restrict them with: {_chmod(600, *wide)}"
            )


def _chmod(mode: int, *paths: Path) -> str:
    return join(["chmod", str(mode), *map(str, paths)])


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _missing(meaning: str, file: Path) -> HomeError:
    return HomeError(f"The {meaning} {file} is missing. Restore it from a backup of this home.")


@contextmanager
def _held(path: Path, busy: str) -> Iterator[None]:
    """Lock a file or directory; the lock ends with the process, however that ends."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeError(busy) from None
        yield
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    """Make sure that renames in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)


def _write_new(path: Path, content: bytes) -> bool:
    """Write a complete private file to the disk, unless it exists; return whether it was written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise
    return True
