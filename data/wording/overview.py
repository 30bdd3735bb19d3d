"""How far an account is: what needs attention in words, and how long the parts of a bar are."""

from data.operations.policy.overview import PENDING_FOR, Attention, Concern, StatusCounts
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
        case Concern.DOCTOR | Concern.SUSPENDED_APPLICATION:
            return found.finding.sentence if found.finding else ""


def bar_parts(counts: StatusCounts, width: int) -> list[int]:
    """Return how many of a bar's cells each status gets; whatever there is has at least one, if they suffice.

    An empty group has no bar.
    """
    parts = counts.by_status
    if not counts.total:
        return [0] * len(parts)
    cells = [max(1, width * part // counts.total) if part else 0 for part in parts]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    while sum(cells) < width:
        missing = [width * part - cell * counts.total for part, cell in zip(parts, cells, strict=True)]
        cells[missing.index(max(missing))] += 1
    return cells
