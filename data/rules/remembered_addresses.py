"""How long a source address is remembered after a code was given from it.

Whoever signs in within that time from the same address with the same first factor is not asked for
a code. The default is a code every time.
"""

from datetime import datetime, timedelta
from ipaddress import ip_address

from data.rules.domain_types import Application, Policy
from data.rules.source_addresses import Origin

MAX_DAYS = 7
_PASSWORD = "password:"  # noqa: S105 - the beginning of a credential's name.


def may_remember(policy: Policy, origin: Origin) -> bool:
    """Whether this policy remembers such an origin: never the host's own terminal, nor what is no address."""
    if policy.remember_days <= 0 or origin.application in (Application.LOCAL, Application.HOST):
        return False
    try:
        ip_address(origin.address)
    except ValueError:
        return False
    return True


def end_of(accepted_at: datetime, days: int) -> datetime:
    """Return the moment from which a code is asked again."""
    return accepted_at + timedelta(days=days)


def still_holds(
    policy: Policy, *, accepted_at: datetime, until: datetime, now: datetime, last_signin_at: datetime | None
) -> bool:
    """Whether an address is remembered now.

    A policy that was shortened since then counts at once. A moment before the acceptance or before
    the user's last sign-in shows that the clock went back, and then nothing is remembered.
    """
    if went_back(now, last_signin_at):
        return False
    return accepted_at <= now < min(until, end_of(accepted_at, policy.remember_days))


def went_back(now: datetime, last_signin_at: datetime | None) -> bool:
    """Whether the clock stands before what it has shown already."""
    return last_signin_at is not None and now < last_signin_at


def password_credential(number: int) -> str:
    """Name the first factor that a user's password of this number is."""
    return f"{_PASSWORD}{number}"


def credential_words(credential: str) -> str:
    """Say which first factor a credential names: the password, or a key by its fingerprint."""
    return "password" if credential.startswith(_PASSWORD) else credential


def period_in_words(days: int) -> str:
    """Say what a number of days means."""
    where = " from the same address with the same key or password" if days else ""
    return f"{period_in_short(days)}{where}"


def period_in_short(days: int) -> str:
    """Say a number of days where it is known what is remembered."""
    return f"no code for {days} day{'' if days == 1 else 's'}" if days else "a code at every sign-in"
