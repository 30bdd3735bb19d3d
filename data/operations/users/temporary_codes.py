"""A temporary code, which a system administrator makes for someone whose phone is lost or not at hand."""

from dataclasses import dataclass, field

from data.operations.actors import facts_of
from data.operations.audit import trail
from data.operations.results import Denied
from data.operations.signin.temporary_codes import issue_temporary_code
from data.operations.users.target_user import Target, require_target
from data.rules.audit_events import Event
from data.rules.permissions import SensitiveAction
from data.rules.policy import NOT_AVAILABLE, may_set_up
from data.rules.recovery_codes import TEMPORARY_HOURS, temporary_end


@dataclass(frozen=True, slots=True)
class TemporaryCode:
    """A temporary code, to be shown once to the administrator who made it."""

    code: str = field(repr=False)
    message: str


@require_target(SensitiveAction.MAKE_TEMPORARY_CODE, resets=True)
def make_temporary_code(found: Target, hours: int = TEMPORARY_HOURS) -> TemporaryCode | Denied:
    """Make a code that is good once, for this many hours, in place of one from the user's factors."""
    if refusal := _why_not(found):
        return refusal
    user = found.user
    end = temporary_end(found.tx.now, hours)
    code = issue_temporary_code(found.tx, user.id, end)
    until = f"{end:%Y-%m-%d %H:%M} UTC"
    trail.record(found.acting, Event.TEMPORARY_CODE_MADE, user.name, until=until)
    return TemporaryCode(
        code, f"{user.name} has a temporary code. It is good for one sign-in, until {until}."
    )


def _why_not(found: Target) -> Denied | None:
    """Return why a user cannot have a temporary code; None if they can."""
    user = found.user
    if found.is_oneself:
        return Denied("You cannot make a temporary code for yourself. Another system administrator can.")
    if not may_set_up(found.acting.policy):
        return Denied(NOT_AVAILABLE)
    if not user.active:
        return Denied(f"{user.name} is deactivated. Activate them first.")
    if user.locked_at is not None:
        return Denied(f"{user.name} is locked. Unlock them first.")
    if not facts_of(found.tx, user).enrolled:
        return Denied(f"{user.name} has not set up a second factor, so no code is asked of them.")
    return None
