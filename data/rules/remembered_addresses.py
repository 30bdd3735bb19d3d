"""How long a source address is remembered after a code was given from it.

A user who signs in within that time from the same address with the same first factor is not asked for a
code. The default is a code every time.
"""

from datetime import datetime, timedelta
from ipaddress import ip_address

from data.rules.domain_types import Application, Policy
from data.rules.source_addresses import Origin

MAX_DAYS = 7
_PASSWORD = "password:"  # noqa: S105 - the beginning of a credential's name.


def may_remember(policy: Policy, origin: Origin) -> bool:
    """Whether this policy remembers this origin: only sign-ins over SSH, and only IP addresses."""
    if policy.remember_days <= 0 or origin.application != Application.SSH:
        return False
    try:
        ip_address(origin.address)
    except ValueError:
        return False
    return True


def end_of(accepted_at: datetime, days: int) -> datetime:
    """Return when a code is asked for again."""
    return accepted_at + timedelta(days=days)


def still_holds(
    policy: Policy, *, accepted_at: datetime, until: datetime, now: datetime, last_signin_at: datetime | None
) -> bool:
    """Whether an address is remembered now.

    A shortened policy applies at once. If now is before the acceptance or before the user's last sign-in,
    the clock went back, and nothing is remembered.
    """
    if went_back(now, last_signin_at):
        return False
    return accepted_at <= now < min(until, end_of(accepted_at, policy.remember_days))


def went_back(now: datetime, last_signin_at: datetime | None) -> bool:
    """Whether the clock shows an earlier time than it has shown before."""
    return last_signin_at is not None and now < last_signin_at


def password_credential(number: int) -> str:
    """Return the credential name of a user's password with this number."""
    return f"{_PASSWORD}{number}"


def credential_words(credential: str) -> str:
    """Describe the first factor that a credential names: the password, or a key by its fingerprint."""
    return "password" if credential.startswith(_PASSWORD) else credential


def period_in_words(days: int) -> str:
    """Describe what a number of days means."""
    where = " from the same address with the same key or password" if days else ""
    return f"{period_in_short(days)}{where}"


def period_in_short(days: int) -> str:
    """Describe a number of days where it is clear what is remembered."""
    return f"no code for {days} day{'' if days == 1 else 's'}" if days else "a code at every sign-in"
