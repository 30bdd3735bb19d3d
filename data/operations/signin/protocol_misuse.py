"""What a client did that is refused to everyone, kept in the audit log of whoever it had named and proven."""

from data.operations.audit import trail
from data.operations.signin.admission import Origin
from data.operations.signin.sent_codes import Asker
from data.operations.signin.uncounted_attempts import AUDITED, Kind, count
from data.rules.audit_events import Event
from data.rules.protocol_misuse import Misuse
from data.storage import models
from data.store import Tx


def record_misuse(tx: Tx, user_id: int, origin: Origin, what: Misuse) -> None:
    """Audit the misuse of a connection that has passed this user's first factor, `AUDITED` times an hour."""
    user = models.User.get_or_none(models.User.id == user_id)
    if user is None:
        return
    if count(tx, user, Kind.MISUSE, Asker(origin.application, origin.address)) > AUDITED:
        return
    trail.write_own(tx, Event.MISUSED, user, origin.application, origin.address, what=what.value)
