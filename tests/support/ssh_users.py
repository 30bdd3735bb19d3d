"""A real store with people in it, for tests that sign in over SSH."""

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey

from data.operations.actors import Operator
from data.operations.maintenance.setup import install
from data.operations.results import Done
from data.operations.users.lifecycle import NewUser, create_user
from data.rules import public_keys, totp
from data.rules.domain_types import Role
from data.storage import models
from data.storage.database import Place, create_database, open_database
from data.storage.password_hashing import HashCost
from data.storage.vault import Vault
from data.store import Services, Store, Tx, open_services

CHEAP = HashCost(passes=1, memory=8, lanes=1)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "a long enough sentence"
OPERATOR = Operator("tests")


@dataclass
class StillClock:
    """A clock that stands until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class People:
    """A store and the means to fill it."""

    store: Store
    clock: StillClock
    folder: Path
    keys: dict[str, SSHKey] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def add(
        self, name: str, *, password: str | None = PASSWORD, key: SSHKey | None = None, enrolled: bool = True
    ) -> None:
        """Create a user with a password of their own, a key, and an authenticator app holding SECRET."""
        hasher = self.store.services.hasher
        parsed = public_keys.parse(key.export_public_key("openssh").decode()) if key else None
        assert parsed is None or isinstance(parsed, public_keys.PublicKey)
        new = NewUser(
            name,
            f"{name}@example.org",
            password_hash=hasher.hash(password) if password else None,
            one_time_password=False,
            key=parsed,
        )
        created = await self.store.run(create_user, OPERATOR, new)
        assert isinstance(created, Done), created
        if key:
            self.keys[name] = key
        if enrolled:
            await self.store.run(enrol_with_app, name)

    async def add_with_key(self, name: str, *, password: str | None = None, enrolled: bool = True) -> SSHKey:
        """Create a user with a new Ed25519 key, and return it."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        await self.add(name, password=password, key=key, enrolled=enrolled)
        return key

    def key_file(self, name: str) -> Path:
        """Write a user's private key in OpenSSH's format and return the file."""
        path = self.folder / f"{name}.key"
        path.write_bytes(self.keys[name].export_private_key("openssh"))
        path.chmod(0o600)
        return path

    def code(self, oathtool: str = "oathtool", secret: str = SECRET) -> str:
        """Let oathtool compute the code of this moment."""
        moment = self.clock.now.strftime("%Y-%m-%d %H:%M:%S UTC")
        command = [oathtool, "--totp", "--base32", "--now", moment, secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def wrong_code(self) -> str:
        """Return six digits that are no code of these minutes, other ones each time."""
        now = totp.step_at(self.clock.now)
        right = {totp.code_at(SECRET, step) for step in range(now - 3, now + 4)}
        return next(code for number in self._numbers if (code := f"{number:06}") not in right)

    async def user(self, name: str) -> models.User:
        """Read a user's row."""
        return await self.store.read(lambda _tx: models.User.get(models.User.name == name))

    async def open_sessions(self) -> int:
        """Count the sessions that have not ended."""
        table = models.Session
        return await self.store.read(lambda _tx: table.select().where(table.ended_at.is_null()).count())


_template: list[bytes] = []
"""The first database that was made, once: a copy takes a tenth of the time."""


def open_people(folder: Path, vault: Vault | None = None, place: Place | None = None) -> People:
    """Open an account with an administrator in a new database: in `folder`, or at a place."""
    clock = StillClock()
    services: Services = open_services(clock, vault or Vault(bytes(32)), CHEAP)
    file = folder / "twofold.db"
    if vault or place:
        return People(_installed(place or file, services), clock, folder)
    if not _template:
        _installed(file, services).close()
        _template.append(file.read_bytes())
    file.write_bytes(_template[0])
    return People(Store(open_database(file), services), clock, folder)


def _installed(place: Place, services: Services) -> Store:
    store = Store(create_database(place), services)
    admin = NewUser(
        "admin",
        "admin@example.org",
        roles=frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN}),
        password_hash=services.hasher.hash(PASSWORD),
        one_time_password=False,
    )
    installed = store.run_now(install, OPERATOR, "Clinic", admin)
    assert isinstance(installed, Done), installed
    return store


def enrol_with_app(tx: Tx, name: str) -> None:
    """Give someone an authenticator app that holds SECRET."""
    user = models.User.get(models.User.name == name)
    factor = models.Factor.insert(
        user=user.id, kind="app", sealed_secret=b"", last_step=0, confirmed_at=tx.now
    ).execute()
    sealed = tx.services.vault.seal(totp.decode_secret(SECRET), user_id=user.id, factor_id=factor)
    models.Factor.update(sealed_secret=sealed).where(models.Factor.id == factor).execute()
