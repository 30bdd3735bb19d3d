"""What needs attention, in words."""

from data.operations.policy.overview import PENDING_FOR, Attention, Concern
from data.rules.audit_events import Event
from data.rules.recovery_codes import FEW_LEFT


def attention(found: Attention) -> str:  # noqa: PLR0911 - one concern, one sentence.
    """Return what needs attention as a sentence."""
    one = found.count == 1 and not found.more
    count = f"More than {found.count:,}" if found.more else f"{found.count:,}"
    people, have = (f"{count} person", "has") if one else (f"{count} people", "have")
    role = found.role.label if found.role else "administrator"
    match found.concern:
        case Concern.LOCKED:
            return f"{people} {'is' if one else 'are'} locked."
        case Concern.PENDING_LONG:
            return f"{people} {have} been pending for more than {PENDING_FOR.days} days."
        case Concern.ADMIN_WITHOUT_FACTOR:
            return f"{count} {role}{'' if one else 's'} {have} no second factor."
        case Concern.ALONE_IN_ROLE:
            return f"There is only one {role}. Appoint a second one."
        case Concern.FEW_RECOVERY_CODES:
            return f"{people} {have} {FEW_LEFT} or fewer recovery codes."
        case Concern.FAILED_DELIVERIES:
            what = "notice" if found.event is Event.NOTICE_ABANDONED else "code"
            return f"{count} {what}{'' if one else 's'} could not be delivered since yesterday."
        case Concern.DOCTOR:
            return found.finding.sentence if found.finding else ""
