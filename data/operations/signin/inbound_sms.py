"""Enrolment by a text message from the user: a code is shown, and sending it proves the sender's number.

A received message sets nothing up. It is stored with the code in the database, where the waiting wizard
finds it, whichever process or host received it. The wizard then finishes in its own session, by the rules
of that moment.
"""

from enum import Enum

from data.operations.actors import ActingUser
from data.operations.audit import trail
from data.operations.guards import require_user
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.signin.enrolment import (
    WIZARD_STEPS,
    Enrolled,
    PendingMessage,
    activate,
    barred,
    identity,
    is_shared,
    why_not_begin,
    why_not_go_on,
)
from data.rules import inbound_sms_codes
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.sent_codes import masked
from data.rules.source_addresses import ON_HOST
from data.storage import models
from data.store import Tx

NOBODY_WAITS = "No setup is waiting for this message, so it was ignored."
_NOT_OFFERED = "Text messages cannot be sent to this installation. Type your number instead."
_GATEWAY = "text message"
"""Who acts, in the audit log, when a message arrives: no user name has a space."""


class Sighting(Enum):
    """What a waiting wizard finds out about its message."""

    NOTHING = "nothing"
    SENDER_REFUSED = "sender refused"
    ARRIVED = "arrived"
    TOO_LATE = "too late"


@require_user(restricted=WIZARD_STEPS)
def begin_message(me: ActingUser) -> PendingMessage | FreshProofNeeded | Denied:
    """Create a code for the user to send by text message; an earlier one of this session is void."""
    if refusal := why_not_begin(me, Method.SMS):
        return refusal
    tx = me.tx
    if tx.services.sms_number is None:
        return Denied(_NOT_OFFERED)
    table = models.AwaitedMessage
    too_old = table.shown_at <= tx.now - inbound_sms_codes.LIFE
    table.delete().where(too_old | (table.session == me.session.id)).execute()
    code, digest = _new_code(tx)
    table.insert(user=me.user.id, session=me.session.id, digest=digest, shown_at=tx.now).execute()
    return PendingMessage(
        session_id=me.session.id,
        begun_at=tx.now,
        replaces=identity(me.user.id, Method.SMS),
        number=tx.services.sms_number,
        code=code,
    )


@require_user(restricted=WIZARD_STEPS)
def look_for_message(me: ActingUser, pending: PendingMessage) -> Sighting | Denied:
    """Read whether the message has arrived."""
    if refusal := barred(me):
        return refusal
    row = _awaited(me, pending)
    if row is None:
        return Sighting.TOO_LATE
    if row.number is not None:
        return Sighting.ARRIVED
    if not _is_live(me.tx, row):
        return Sighting.TOO_LATE
    return Sighting.SENDER_REFUSED if row.refused else Sighting.NOTHING


@require_user(restricted=WIZARD_STEPS)
def confirm_message(me: ActingUser, pending: PendingMessage) -> Enrolled | Denied:
    """Activate the number that the message came from."""
    if refusal := why_not_go_on(me, Method.SMS, pending):
        return refusal
    row = _awaited(me, pending)
    if row is None or row.number is None:
        return Denied("No message with this code has arrived. Start again.")
    _forget_codes(me)
    came = f"Your message came from {masked(Method.SMS, row.number)}."
    shared = is_shared(me, row.number)
    advice = " Another user has this number too. Use a separate one if you can." if shared else ""
    return activate(me, Method.SMS, row.number, f"{came} Codes will be sent there.{advice}")


@require_user(restricted=WIZARD_STEPS)
def stop_awaiting(me: ActingUser, pending: PendingMessage) -> Done | Denied:
    """Void the code of a wizard that was left."""
    if refusal := barred(me):
        return refusal
    row = _awaited(me, pending)
    if row is not None:
        row.delete_instance()
    return Done("")


def receive_message(tx: Tx, sender: str, text: str) -> Done | Denied:
    """Store a text message with the code that it holds, if a wizard is still waiting for that.

    A message without such a code is neither stored nor logged, and costs at most one index lookup. Of
    several messages with the same code the first counts, and of several that are refused the first is logged.
    """
    code = inbound_sms_codes.code_in(text)
    row = None if code is None else _waiting_for(tx, code)
    if row is None:
        return Denied(NOBODY_WAITS)
    number = inbound_sms_codes.sender_number(sender)
    table = models.AwaitedMessage
    if number is None:
        if not row.refused:
            table.update(refused=True).where(table.id == row.id).execute()
            _note(tx, row.user, Event.MESSAGE_REFUSED)
        return Denied(
            "The sender is not a phone number with + and the country code, so the message proves "
            "nothing. The user is told."
        )
    table.update(number=number).where(table.id == row.id).execute()
    _note(tx, row.user, Event.MESSAGE_RECEIVED, sender=masked(Method.SMS, number))
    return Done("The message was passed to the setup that is waiting for it.")


def _new_code(tx: Tx) -> tuple[str, str]:
    """Create a code that is not in use; return it with its digest."""
    table = models.AwaitedMessage
    while True:
        code = inbound_sms_codes.code_from_random(tx.services.random_bytes(8))
        digest = tx.services.vault.digest_authorisation(code)
        if not table.select().where(table.digest == digest).exists():
            return code, digest


def _awaited(me: ActingUser, pending: PendingMessage) -> models.AwaitedMessage | None:
    """Read the row of the awaited message, which belongs to this session alone."""
    table = models.AwaitedMessage
    digest = me.tx.services.vault.digest_authorisation(pending.code)
    found: models.AwaitedMessage | None = table.get_or_none(
        (table.digest == digest) & (table.session == me.session.id)
    )
    return found


def _waiting_for(tx: Tx, code: str) -> models.AwaitedMessage | None:
    """Find what is waiting for a code, in a session that is still open."""
    digest = tx.services.vault.digest_authorisation(code)
    table = models.AwaitedMessage
    row: models.AwaitedMessage | None = table.get_or_none((table.digest == digest) & table.number.is_null())
    if row is None or not _is_live(tx, row) or row.session.ended_at is not None:
        return None
    return row


def _is_live(tx: Tx, row: models.AwaitedMessage) -> bool:
    return inbound_sms_codes.is_live(tx.now, row.shown_at)


def _forget_codes(me: ActingUser) -> None:
    """Void every code of a user, in whichever session it was shown."""
    table = models.AwaitedMessage
    table.delete().where(table.user == me.user.id).execute()


def _note(tx: Tx, user: models.User, event: Event, **detail: object) -> None:
    trail.write(
        tx,
        event,
        ON_HOST,
        account_id=user.account_id,
        actor=_GATEWAY,
        user=user.name,
        **detail,
    )
