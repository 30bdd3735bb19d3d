"""The decision core: what a user who has passed the first factor must do next.

The first matching row wins. It is evaluated again in the transaction that admits, and at every operation.

| state                                | outcome                               | status shown                |
|--------------------------------------|---------------------------------------|-----------------------------|
| deactivated                          | refused                               | Deactivated                 |
| locked                               | refused: ask a system administrator   | Locked                      |
| one-time password, signed in with it | restricted: new password, then below  | as below                    |
| mode `off`                           | signed in, even if enrolled           | Not available               |
| enrolled                             | a code, unless address is remembered  | Enabled                     |
| last factor lost, recovery or        | such a code first, then the next row  | Pending setup on next login |
| temporary codes left                 |                                       |                             |
| flag, role or lost factor, or mode   | restricted: the enrolment wizard, and | Pending setup on next login |
| `permanent`, or mode `required` past | nothing else                          |                             |
| its deadline, if it has one, and the |                                       |                             |
| user's days of grace, if any are left|                                       |                             |
| else                                 | signed in; before the deadline and in | No                          |
|                                      | days of grace, told the days left     |                             |

Deadline and days of grace are judged at the present moment (see `data.rules.deadline`). Only those have days
of grace who were created under `required`, never had a factor, and have neither flag nor role.

The result types make it impossible to read a refusal as an admission.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from data.rules.deadline import demand_of
from data.rules.domain_types import FirstFactor, Method, Mode, Policy, Proof, Status, UserFacts
from data.rules.user_status import standing_of, status_of

ATTEMPTS = 7
"""Wrong codes in a row, over all applications, that lock a user."""
FEW_ATTEMPTS = 2
"""At this number of attempts or fewer, users are warned of what happens after the last one."""
LONGEST_SESSION: Final = timedelta(hours=12)
"""The longest time a session can last, whatever is done in it.

As in NIST SP 800-63B (revision 3, section 4.2.3) for two factors; ASVS 5.0 7.3.2 requires a limit.
"""
NOT_AVAILABLE = "Two-factor authentication is not available. A security administrator can turn it on."


class Refusal(StrEnum):
    """Why someone is turned away."""

    DEACTIVATED = "This user is deactivated."
    LOCKED = "Locked after seven wrong codes. Ask a system administrator to unlock you."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Everything asked for has been proven."""


@dataclass(frozen=True, slots=True)
class NeedCode:
    """A second factor is needed: a code by one of these methods, or a recovery or temporary code.

    Without any method, only such a code is left.
    """

    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class MustChangePassword:
    """A restricted session that sets a new password, after which the rules are evaluated again."""


@dataclass(frozen=True, slots=True)
class MustEnrol:
    """A restricted session with the enrolment wizard and nothing else."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The user cannot sign in."""

    reason: Refusal


Step = SignedIn | NeedCode | MustChangePassword | MustEnrol | Refused


def next_step(  # noqa: PLR0911 - one row, one return.
    policy: Policy, user: UserFacts, proof: Proof, now: datetime
) -> Step:
    """Decide what a user who has passed the first factor must do next.

    A user who signs in with a one-time password must replace it; signing in with a public key does not
    require that.
    """
    if not user.active:
        return Refused(Refusal.DEACTIVATED)
    if user.locked:
        return Refused(Refusal.LOCKED)
    if user.one_time_password and proof.first_factor is FirstFactor.PASSWORD:
        return MustChangePassword()
    if policy.mode is Mode.OFF:
        return SignedIn()
    if user.enrolled:
        return SignedIn() if proof.code or proof.address_remembered else NeedCode(user.methods)
    if user.can_prove and not proof.code:
        return NeedCode(user.methods)
    if user.must_set_up or demand_of(policy, now).is_of(user.grace_from):
        return MustEnrol()
    return SignedIn()


def status(policy: Policy, user: UserFacts, now: datetime) -> Status:
    """Return the status that tables show for a user."""
    return status_of(demand_of(policy, now), standing_of(user), user.grace_from)


def why_over(step: Step, *, restricted: bool) -> str | None:
    """Return why a session is over if the rules now ask for this step; None if it goes on.

    A restricted session is on its way to being signed in. The user of a full one must sign in again.
    """
    match step:
        case Refused(reason):
            return reason.value
        case _ if restricted:
            return None
        case NeedCode():
            return "You must now enter a code. Sign in again."
        case MustEnrol():
            return "You must now set up two-factor authentication. Sign in again."
        case MustChangePassword():
            return "You must now choose a new password. Sign in again."
        case SignedIn():
            return None


def outlived(started_at: datetime, now: datetime, longest: timedelta) -> str | None:
    """Return why a session that has lasted too long is over; None if it has not."""
    if now - started_at < longest:
        return None
    hours = longest / timedelta(hours=1)
    return f"Signed out: a session lasts at most {hours:g} hours. Sign in again."


def asks_code(policy: Policy, user: UserFacts, *, on_others: bool = False) -> bool:
    """Whether only a code counts as fresh proof of who this user is.

    In the mode `off` the password is enough for their own things, and never for an act on others.
    """
    return user.can_prove and (on_others or policy.mode is not Mode.OFF)


def may_set_up(policy: Policy) -> bool:
    """Whether users may enrol: whenever the mode is not off."""
    return policy.mode is not Mode.OFF


def may_turn_off(policy: Policy, user: UserFacts) -> bool:
    """Whether users may turn their own two-factor authentication off."""
    return policy.mode is Mode.OPTIONAL and not user.must_use_two_factor


def may_enter_mode(current: Mode, wanted: Mode) -> bool:
    """Whether this mode change is allowed: `permanent` is entered from `required` only and never left."""
    if current is Mode.PERMANENT:
        return wanted is Mode.PERMANENT
    return wanted is not Mode.PERMANENT or current is Mode.REQUIRED


def warning_of_few(left: int) -> str:
    """Warn, before anything is typed, of what happens after the last attempts; empty while there are more."""
    return attempts_in_words(left) if left <= FEW_ATTEMPTS else ""


def attempts_in_words(left: int) -> str:
    """Say how many attempts are left, and for the last two what happens after them."""
    words = f"{left} attempt{'' if left == 1 else 's'} left."
    return f"{words} After that, a system administrator must unlock you." if left <= FEW_ATTEMPTS else words
