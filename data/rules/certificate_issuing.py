"""Who gets a certificate: only a session whose own code was right within the last five minutes.

A certificate opens other hosts, so nothing stands in for the code: not a password, a remembered address or
a temporary code. A recovery code counts as one's own.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from data.rules.domain_types import Mode, Policy, UserFacts
from data.rules.policy import NOT_AVAILABLE

MOST_HOURS: Final = 24
MOST_LIVE: Final = 100
"""Certificates of a user that have not ended: lists and KRLs stay short."""
TURNED_OFF: Final = "No certificates are issued here. A security administrator can turn them on."
NOT_ENROLLED: Final = "Set up two-factor authentication first. Certificates need a code."


@dataclass(frozen=True, slots=True)
class CodeInSession:
    """The last code that was given in a session: whether it was right within the last five minutes.

    `temporary` says that it was a temporary code, and `relies_on_address` that the session has since been
    admitted by a remembered address.
    """

    fresh: bool
    temporary: bool
    relies_on_address: bool


@dataclass(frozen=True, slots=True)
class MayHave:
    """A certificate may be issued, for this long."""

    life: timedelta


@dataclass(frozen=True, slots=True)
class NeedOwnCode:
    """A certificate may be issued once the user has given a code of their own."""


@dataclass(frozen=True, slots=True)
class MayNotHave:
    """No certificate may be issued, whatever code is given; `reason` says why, and what to do."""

    reason: str


def judge(
    policy: Policy, user: UserFacts, hours: int, code: CodeInSession
) -> MayHave | NeedOwnCode | MayNotHave:
    """Decide whether a user in a full session gets a certificate that is valid for so many hours."""
    if hours == 0:
        return MayNotHave(TURNED_OFF)
    if policy.mode is Mode.OFF:
        return MayNotHave(NOT_AVAILABLE)
    if not user.enrolled:
        return MayNotHave(NOT_ENROLLED)
    if not code.fresh or code.temporary or code.relies_on_address:
        return NeedOwnCode()
    return MayHave(timedelta(hours=hours))


def hours_in_words(hours: int) -> str:
    """Say what a policy on the life of certificates means."""
    return f"certificates for {hours} hour{'' if hours == 1 else 's'}" if hours else "no certificates"


def why_too_many(live: int) -> str | None:
    """Return why a user who has this many certificates that have not ended cannot have another, or None."""
    if live < MOST_LIVE:
        return None
    return f"You have had {MOST_LIVE} certificates that have not ended. Wait until one ends."
