"""Sent codes: created and judged here, delivered by the caller outside any transaction."""

from dataclasses import dataclass
from enum import Enum

from data.operations.audit import notice_outbox, trail
from data.rules import sent_codes
from data.rules.audit_events import Event
from data.rules.domain_types import Method, Policy
from data.rules.sent_codes import Envelope, Purpose
from data.rules.source_addresses import Origin
from data.storage import models
from data.storage.prepared_statements import PreparedWrite
from data.store import Tx


@dataclass(frozen=True, slots=True)
class CodeToSend:
    """A code that is ready to be handed to its carrier."""

    id: int
    envelope: Envelope
    masked: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class NotSent:
    """No code was sent; `reason` says why and what to do instead. It does not count as an attempt."""

    reason: str


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A code is on its way to the masked destination."""

    method: Method
    masked: str

    @property
    def message(self) -> str:
        """The message."""
        return f"A code was sent by {self.method.label} to {self.masked}. It is good for 15 minutes."


class Lapse(Enum):
    """Why a sent or temporary code is no longer good, in words."""

    USED = "Code already used."
    EXPIRED = "That code has expired. Codes are good for 15 minutes."
    TEMPORARY_EXPIRED = "That temporary code has expired. Ask a system administrator for another one."
    REPLACED = "That code was replaced by a newer one. Type that, or have a new one sent."


def make_code(
    tx: Tx, user: models.User, method: Method, destination: str, purpose: Purpose, origin: Origin
) -> CodeToSend | NotSent:
    """Create a code for a user within the limits of its purpose; only its keyed hash is stored."""
    table = models.SentCode
    table.delete().where(table.sent_at < tx.now - sent_codes.DAY).execute()
    alike = table.select().where(table.purpose == purpose.value)
    of_account = alike.where(table.account_id == user.account_id)
    # Many people can prove one number, and a sender's number can be forged: the sign-in codes of one
    # account do not count against those of another.
    there = (alike if purpose is Purpose.ENROL else of_account).where(table.destination == destination)
    lately = table.sent_at > tx.now - sent_codes.HOUR
    reason = sent_codes.refusal(
        tx.now,
        purpose,
        [sent_codes.Sending(row.sent_at, row.failed) for row in alike.where(lately, table.user == user.id)],
        to_destination=there.where(lately).count(),
        of_day=of_account.count(),
        per_day=tx.services.codes_per_day,
    )
    if reason:
        return NotSent(reason)
    code = sent_codes.code_from_random(tx.services.random_bytes(8))
    row_id = table.insert(
        user=user.id,
        account_id=user.account_id,
        purpose=purpose.value,
        method=method.value,
        destination=destination,
        digest=tx.services.vault.digest_code(code, user_id=user.id, purpose=purpose),
        sent_at=tx.now,
    ).execute()
    models.User.update(wrong_answers="").where(models.User.id == user.id).execute()
    masked = sent_codes.masked(method, destination)
    trail.write_own(tx, Event.CODE_SENT, user, origin, method=method.label, to=masked)
    envelope = sent_codes.envelope(method, destination, code, tx.services.issuer)
    return CodeToSend(row_id, envelope, masked, origin)


def record_failure(tx: Tx, code: CodeToSend, reason: str) -> None:
    """Record that a code could not be delivered, so that the user can choose another method at once.

    The code stays good: a slow carrier may still bring it.
    """
    notice_outbox.record_carrier_failure(tx, code.envelope.method, reason)
    table = models.SentCode
    row = table.get_or_none(table.id == code.id)
    if row is None:
        return
    table.update(failed=True).where(table.id == code.id).execute()
    method = code.envelope.method.label
    trail.write_own(tx, Event.CODE_NOT_SENT, row.user, code.origin, method=method, because=reason)


def spend_proof(tx: Tx, user: models.User, policy: Policy, digits: str) -> Method | Lapse | None:
    """Spend an outstanding code; return the method it was sent by, or why it is no longer good, or None."""
    row = _matching(tx, user.id, Purpose.PROOF, digits)
    if row is None:
        return _lapse_of_enrolment(tx, user.id, digits)
    if lapse := _lapse(tx, row):
        return lapse
    if Method(row.method) not in policy.methods or not _still_proves(row):
        return Lapse.REPLACED
    table = models.SentCode
    spent = table.update(used_at=tx.now).where((table.id == row.id) & (table.void == False)).execute()  # noqa: E712 - peewee builds SQL from it.
    void_codes(user.id)
    return Method(row.method) if spent else Lapse.USED


def _lapse_of_enrolment(tx: Tx, user_id: int, digits: str) -> Lapse | None:
    """Return why a code that was sent to enrol proves nothing; a live one answers another question."""
    row = _matching(tx, user_id, Purpose.ENROL, digits)
    return None if row is None else _lapse(tx, row)


def _lapse(tx: Tx, row: models.SentCode) -> Lapse | None:
    if row.void:
        return Lapse.USED if row.used_at is not None else Lapse.REPLACED
    return None if row.sent_at > tx.now - sent_codes.LIFE else Lapse.EXPIRED


def prove_destination(tx: Tx, user_id: int, method: Method, destination: str, digits: str) -> bool:
    """Whether this code was sent to this destination to enrol it; wrong answers use it up."""
    row = _matching(tx, user_id, Purpose.ENROL, digits)
    matches = row is not None and row.method == method.value and row.destination == destination
    if row is not None and matches and _lapse(tx, row) is None:
        return True
    table = models.SentCode
    outstanding = (table.user == user_id) & (table.purpose == Purpose.ENROL.value)
    table.update({table.wrong_tries: table.wrong_tries + 1}).where(outstanding).execute()
    table.update(void=True).where(outstanding & (table.wrong_tries >= sent_codes.TRIES)).execute()
    return False


_VOID = PreparedWrite(
    1,
    lambda user_id: models.SentCode.update(void=True).where(
        (models.SentCode.user == user_id) & (models.SentCode.void == False)  # noqa: E712 - as above.
    ),
)


def void_codes(user_id: int) -> None:
    """Void every outstanding code of a user."""
    _VOID.run_unanswered(user_id)


def _matching(tx: Tx, user_id: int, purpose: Purpose, digits: str) -> models.SentCode | None:
    """Return a code of the last day with these digits, preferably a live one."""
    table = models.SentCode
    digest = tx.services.vault.digest_code(digits, user_id=user_id, purpose=purpose)
    found = (table.user == user_id) & (table.purpose == purpose.value) & (table.digest == digest)
    lately = found & (table.sent_at > tx.now - sent_codes.DAY) & (table.sent_at <= tx.now)
    row: models.SentCode | None = table.select().where(lately).order_by(table.void, table.id.desc()).first()
    return row


def _still_proves(row: models.SentCode) -> bool:
    """Whether the code was sent to a destination that is still a factor of its user."""
    table = models.Factor
    return (
        table.select()
        .where(
            (table.user == row.user_id) & (table.kind == row.method) & (table.destination == row.destination)
        )
        .exists()
    )
