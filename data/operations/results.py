"""What operations return besides their own results. A denial is a value, never an exception."""

from dataclasses import dataclass
from enum import Enum

from data.rules.domain_types import Method
from data.rules.policy import ATTEMPTS


@dataclass(frozen=True, slots=True)
class Done:
    """The change was made; `message` confirms it in words."""

    message: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The change was not made; `message` says why, and who can or what to do instead."""

    message: str


@dataclass(frozen=True, slots=True)
class SessionOver:
    """The actor's session has ended, or its user may no longer act."""

    message: str = "This session is over. Sign in again."


class FreshProof(Enum):
    """A fresh proof of who is at the keyboard."""

    CODE = "code"
    PASSWORD = "password"  # noqa: S105 - the name of a kind, not a password.


@dataclass(frozen=True, slots=True)
class FreshProofNeeded:
    """The act needs a fresh code, or the password of a user without two-factor authentication.

    `methods` are those by which the user can get a code, and `attempts_left` how often they can be wrong.
    `replaces_phone` says that a temporary code is proof too.
    """

    proof: FreshProof
    methods: tuple[Method, ...] = (Method.APP,)
    attempts_left: int = ATTEMPTS
    replaces_phone: bool = False


Refused = Denied | SessionOver
RefusedOrStale = Denied | SessionOver | FreshProofNeeded
