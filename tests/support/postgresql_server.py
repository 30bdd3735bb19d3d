"""A PostgreSQL of the tests' own: on a free loopback port, in a temporary directory, forgetful on purpose."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import psycopg
from support.free_ports import free_port

USER = "twofold"
PASSWORD = "only-for-tests"
_DEBIAN = "/usr/lib/postgresql"


def find_binaries() -> Path | None:
    """Return the folder of the newest `initdb` that there is."""
    debian = sorted(Path(_DEBIAN).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class PostgresqlServer:
    """A server that was started for tests, and the databases in it."""

    def __init__(self, binaries: Path, *settings: str, primary: "PostgresqlServer | None" = None) -> None:
        self._binaries = binaries
        self._settings = settings
        self.folder = Path(mkdtemp(prefix="twofold-pg-"))
        self._user = _unprivileged()
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._data = self.folder / "data"
        if primary is None:
            self._initialise()
        else:
            self._run(
                "pg_basebackup", "--pgdata", self._data, "--dbname", primary.url("postgres"),
                "--checkpoint", "fast", "--write-recovery-conf", "--no-sync",
            )  # fmt: skip
        self.port = free_port()
        self._count = 0
        self.process: subprocess.Popen[bytes] | None = None

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        self._run(
            "initdb", "--pgdata", self._data, "--username", USER, "--pwfile", secret,
            "--auth-host", "scram-sha-256", "--auth-local", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def promote(self) -> None:
        """Make a standby the server that takes writes."""
        self._run("pg_ctl", "promote", "--pgdata", self._data, "--wait", "--silent")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = (
            "listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}",
            "shared_buffers=32MB", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
            "autovacuum=off", "max_connections=60", *self._settings,
        )  # fmt: skip
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, self._log()
            assert time.monotonic() < deadline, self._log()
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        """End the server: at once, with its connections cut, or as by a power cut."""
        if self.process is None:
            return
        if kill:
            self._run("pg_ctl", "stop", "--pgdata", self._data, "--mode", "immediate", "--silent")
        else:
            self.process.send_signal(2)
        self.process.wait(30)
        self.process = None

    def url(self, name: str, password: str | None = PASSWORD) -> str:
        """Write the URL of a database."""
        secret = "" if password is None else f":{password}"
        return f"postgresql://{USER}{secret}@127.0.0.1:{self.port}/{name}"

    def local_url(self, name: str) -> str:
        """Write the URL of a database by the server's socket, where no password is asked: that takes time."""
        return f"postgresql://{USER}@/{name}?host={self.folder}&port={self.port}"

    def new_database(self, template: str = "template0", more: str = "") -> str:
        """Make a database and return its name."""
        self._count += 1
        name = f"test{self._count}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template} {more}")
        return name

    def drop_database(self, name: str) -> None:
        self.execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, name: str, *statements: str) -> list[tuple[object, ...]]:
        """Run statements as the superuser and return the rows of the last."""
        with psycopg.connect(self.local_url(name), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def contents(self, name: str) -> bytes:
        """Return every byte of every column of every table."""
        tables = self.execute(name, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = bytearray()
        with psycopg.connect(self.url(name)) as connection, connection.cursor() as cursor:
            for (table,) in tables:
                with cursor.copy(f'COPY "{table}" TO STDOUT (FORMAT binary)'.encode()) as copy:
                    for chunk in copy:
                        found += chunk
        return bytes(found)

    def close(self) -> None:
        self.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        ended = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            user=self._user.pw_uid if self._user else None,
            group=self._user.pw_gid if self._user else None,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]


@contextmanager
def running_postgresql(
    binaries: Path, *settings: str, primary: PostgresqlServer | None = None
) -> Iterator[PostgresqlServer]:
    """Run a server for as long as it is needed; one with a primary follows that."""
    server = PostgresqlServer(binaries, *settings, primary=primary)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _unprivileged() -> pwd.struct_passwd | None:
    """Return whom to run the server as when we are root, as whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]
