"""The State of a RADIUS challenge (RFC 2865 section 5.24): sealed, for one client and user, for minutes."""

from datetime import datetime, timedelta
from typing import Final

from data.operations.applications.asking import AskingApplication
from data.operations.applications.password_signin import CHALLENGE_LIFE
from data.rules.user_fields import USERNAME_LIMIT, fold_username
from data.storage.vault import SealBrokenError, Vault

_MOMENT_BYTES: Final = 8


def seal_state(
    vault: Vault, asking: AskingApplication, name: str, transaction_id: str, now: datetime
) -> bytes:
    """Seal the ID of a question that was asked now."""
    moment = int(now.timestamp()).to_bytes(_MOMENT_BYTES)
    return vault.seal_at(_place(asking, name), moment + transaction_id.encode())


def open_state(vault: Vault, asking: AskingApplication, name: str, state: bytes, now: datetime) -> str | None:
    """Return the ID of the question that this user was asked there; None if it was not, or too long ago."""
    try:
        opened = vault.open_at(_place(asking, name), state)
    except SealBrokenError:
        return None
    age = timedelta(seconds=int(now.timestamp()) - int.from_bytes(opened[:_MOMENT_BYTES]))
    return opened[_MOMENT_BYTES:].decode() if timedelta() <= age < CHALLENGE_LIFE else None


def _place(asking: AskingApplication, name: str) -> str:
    user = fold_username(name) or name[:USERNAME_LIMIT]
    return f"radius:{asking.id}:{asking.address}:{user}"
