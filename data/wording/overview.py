"""What needs attention, in words."""

from data.operations.policy.overview import Attention, Concern
from data.rules.audit_events import Event
from data.rules.recovery_codes import FEW_LEFT
from data.wording.words import counted


def attention(found: Attention) -> str:  # noqa: PLR0911 - one concern, one sentence.
    """Return a thing that needs attention as a sentence."""
    count = f"{'More than ' if found.more else ''}{found.count:,}"
    people = f"{count} {'person' if found.count == 1 and not found.more else 'people'}"
    has = "has" if found.count == 1 and not found.more else "have"
    is_ = "is" if found.count == 1 and not found.more else "are"
    role = found.role.label if found.role else "administrator"
    match found.concern:
        case Concern.LOCKED:
            return f"{people} {is_} locked."
        case Concern.PENDING_LONG:
            return f"{people} {has} been pending for more than 14 days."
        case Concern.ADMIN_WITHOUT_FACTOR:
            return f"{counted(found.count, role)} without a second factor."
        case Concern.ALONE_IN_ROLE:
            return f"Only one {role}. Appoint a second one."
        case Concern.FEW_RECOVERY_CODES:
            return f"{people} {has} {FEW_LEFT} recovery codes or fewer."
        case Concern.FAILED_DELIVERIES:
            what = "notice" if found.event is Event.NOTICE_ABANDONED else "code"
            return f"{counted(found.count, what)} could not be sent since yesterday."
        case Concern.DOCTOR:
            return found.finding.sentence if found.finding else ""
