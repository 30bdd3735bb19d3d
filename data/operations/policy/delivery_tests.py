"""Delivery as administrators see it: each carrier's last failure, and test messages."""

from dataclasses import dataclass
from datetime import datetime

from data.operations.actors import Acting
from data.operations.audit import notice_outbox, trail
from data.operations.guards import require_permission
from data.operations.results import Denied
from data.rules import sent_codes
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.permissions import Action
from data.rules.sent_codes import Envelope
from data.rules.user_fields import PHONE_RULE, fold_email, fold_phone
from data.storage import models
from data.store import Tx


@dataclass(frozen=True, slots=True)
class CarrierState:
    """A method that can be sent, and its carrier's last failure, if there was one."""

    method: Method
    failed_at: datetime | None = None
    reason: str = ""

    @property
    def sentence(self) -> str | None:
        """When it last failed and why, if it ever did; the reason is a foreign string."""
        if self.failed_at is None:
            return None
        return f"Last error by {self.method.label}, {self.failed_at:%Y-%m-%d %H:%M} UTC: {self.reason}"


@require_permission(Action.SEE_PEOPLE)
def show_delivery(acting: Acting) -> tuple[CarrierState, ...]:
    """Read the last failure of each carrier in the settings."""
    return carrier_states(acting.tx)


def carrier_states(tx: Tx) -> tuple[CarrierState, ...]:
    """Read the last failure of each carrier in the settings, for a caller that has checked permission."""
    found = []
    for method in Method:
        if method in tx.services.sends:
            failure = notice_outbox.last_carrier_failure(method)
            found.append(
                CarrierState(method, failure.at, failure.reason) if failure else CarrierState(method)
            )
    return tuple(found)


@require_permission(Action.TEST_DELIVERY)
def prepare_test(acting: Acting, method: Method, to: str) -> Envelope | Denied:
    """Word a test message for the caller to deliver; an administrator may send a limited number."""
    if method not in acting.tx.services.sends:
        section = "smtp" if method is Method.EMAIL else "sms"
        return Denied(
            f"Nothing is set up to send messages by {method.label}. Set [{section}] in twofold.toml."
        )
    destination = fold_email(to) if method is Method.EMAIL else fold_phone(to)
    if destination is None:
        return Denied("That is not an e-mail address." if method is Method.EMAIL else PHONE_RULE)
    if not acting.is_operator and _sent_lately(acting) >= sent_codes.TESTS_PER_HOUR:
        return Denied(
            f"{sent_codes.TESTS_PER_HOUR} test messages were sent in the last hour. Try again later."
        )
    trail.record(
        acting, Event.DELIVERY_TESTED, method=method.label, to=sent_codes.masked(method, destination)
    )
    return sent_codes.test_message(method, destination, acting.tx.services.issuer)


def record_refusal(tx: Tx, method: Method, reason: str) -> None:
    """Record that a carrier did not accept a test message."""
    notice_outbox.record_carrier_failure(tx, method, reason)


def _sent_lately(acting: Acting) -> int:
    table = models.AuditEntry
    tests = (table.account == acting.account_id) & (table.event == Event.DELIVERY_TESTED.value)
    mine = tests & (table.actor == acting.name) & (table.at > acting.tx.now - sent_codes.HOUR)
    return int(table.select().where(mine).count())
