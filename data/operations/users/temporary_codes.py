"""A temporary code, which a system administrator makes for someone whose phone is lost or not at hand."""

from dataclasses import dataclass, field

from data.operations.audit import trail
from data.operations.signin.temporary_codes import issue_temporary_code
from data.operations.users.target_user import Target
from data.operations.users.user_acts import require_target
from data.rules.audit_events import Event
from data.rules.permissions import UserAct
from data.rules.recovery_codes import TEMPORARY_HOURS, temporary_end


@dataclass(frozen=True, slots=True)
class TemporaryCode:
    """A temporary code, to be shown once to the administrator who made it."""

    code: str = field(repr=False)
    message: str


@require_target(UserAct.TEMPORARY_CODE)
def make_temporary_code(found: Target, hours: int = TEMPORARY_HOURS) -> TemporaryCode:
    """Make a code that is good once, for this many hours, in place of one from the user's factors."""
    user = found.user
    end = temporary_end(found.tx.now, hours)
    code = issue_temporary_code(found.tx, user.id, end)
    until = f"{end:%Y-%m-%d %H:%M} UTC"
    trail.record(found.acting, Event.TEMPORARY_CODE_MADE, user.name, until=until)
    return TemporaryCode(
        code, f"{user.name} has a temporary code. It is good for one sign-in, until {until}."
    )
