"""An installation whose users hold a key, a password and an authenticator app that the benchmark knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey

from data.operations import derived_user_columns
from data.operations.results import Done
from data.operations.users.lifecycle import NewUser, create_user
from data.rules import public_keys, totp
from data.rules.domain_types import Role
from data.storage import models
from data.storage.home import Home
from data.storage.password_hashing import HashCost, Hasher
from data.store import Tx
from tui.cli.commands.setup import initialise
from tui.cli.open_installation import Installation, installation

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "a long enough sentence"


@dataclass
class EnrolledUsers:
    """A home, and one key that all of its users hold."""

    home: Home
    key: SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    used: int = 0

    @property
    def key_file(self) -> Path:
        """The key's file."""
        return self.home.path / "bench.key"

    def take(self, count: int) -> list[str]:
        """Return names that were not given out before: a code is good once for each."""
        self.used += count
        return names(self.used)[-count:]


def names(count: int) -> list[str]:
    """Name the users."""
    return [f"user{number:05}" for number in range(count)]


def build(folder: Path, users: int, *, support: bool = False, database: str | None = None) -> EnrolledUsers:
    """Make a home with so many enrolled users; `support` lets them see the users table."""
    home = Home(folder / "home")
    settings = {"database": database} if database else None
    initialise(home, "Bench", "admin", "admin@bench.example", settings=settings)
    enrolled = EnrolledUsers(home)
    enrolled.key_file.write_bytes(enrolled.key.export_private_key("openssh"))
    enrolled.key_file.chmod(0o600)
    parsed = public_keys.parse(enrolled.key.export_public_key("openssh").decode())
    assert isinstance(parsed, public_keys.PublicKey)
    hashed = Hasher(HashCost()).hash(PASSWORD)
    with installation(home) as here:
        listed = names(users)
        for start in range(0, users, 250):
            batch = listed[start : start + 250]
            here.store.run_now(_add, here, batch, parsed, hashed, support=support)
    return enrolled


def _add(
    tx: Tx,
    here: Installation,
    batch: Sequence[str],
    key: public_keys.PublicKey,
    hashed: str,
    *,
    support: bool,
) -> None:
    for name in batch:
        new = NewUser(
            name,
            f"{name}@bench.example",
            full_name=f"Person {name}",
            roles=frozenset({Role.SUPPORT}) if support else frozenset(),
            password_hash=hashed,
            one_time_password=False,
            key=key,
        )
        made = create_user(tx, here.actor, new)
        assert isinstance(made, Done), made
        enrol(tx, name)


def enrol(tx: Tx, name: str) -> None:
    """Give a user an app that holds SECRET."""
    user, table = models.User.get(models.User.name == name), models.Factor
    factor = table.insert(
        user=user.id, kind="app", sealed_secret=b"", last_step=0, confirmed_at=tx.now
    ).execute()
    sealed = tx.services.vault.seal(totp.decode_secret(SECRET), user_id=user.id, factor_id=factor)
    table.update(sealed_secret=sealed).where(table.id == factor).execute()
    derived_user_columns.refresh_standing_of(user.id, tx.now)
    derived_user_columns.refresh_few_codes(user.id)
