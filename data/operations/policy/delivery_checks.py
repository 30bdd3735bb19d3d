"""Delivery, as administrators see it: what each carrier refused last, and test messages."""

from dataclasses import dataclass
from datetime import datetime

from data.operations.actors import Acting, Actor, authorise
from data.operations.audit import carrier_failures, trail
from data.operations.results import Denied, Refused
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
    """A method that can be sent, and the last message that its carrier did not take, if there was one."""

    method: Method
    failed_at: datetime | None = None
    reason: str = ""

    @property
    def sentence(self) -> str | None:
        """When it failed last and why, if it ever did; the reason is a foreign string."""
        if self.failed_at is None:
            return None
        return f"Last error by {self.method.label}, {self.failed_at:%Y-%m-%d %H:%M} UTC: {self.reason}"


def show_delivery(tx: Tx, actor: Actor) -> tuple[CarrierState, ...] | Refused:
    """Read what each carrier of the settings refused last."""
    acting = authorise(tx, actor, Action.SEE_PEOPLE)
    return carrier_states(tx) if isinstance(acting, Acting) else acting


def carrier_states(tx: Tx) -> tuple[CarrierState, ...]:
    """Read what each carrier of the settings refused last, for whoever may know."""
    found = []
    for method in Method:
        if method in tx.services.sends:
            failure = carrier_failures.last(method)
            found.append(
                CarrierState(method, failure.at, failure.reason) if failure else CarrierState(method)
            )
    return tuple(found)


def prepare_test(tx: Tx, actor: Actor, method: Method, to: str) -> Envelope | Refused:
    """Word a test message, for the caller to hand over; how many an administrator may send is limited."""
    acting = authorise(tx, actor, Action.TEST_DELIVERY)
    if not isinstance(acting, Acting):
        return acting
    if method not in tx.services.sends:
        section = "smtp" if method is Method.EMAIL else "sms"
        return Denied(f"Nothing sends messages by {method.label}. Set [{section}] in twofold.toml.")
    destination = fold_email(to) if method is Method.EMAIL else fold_phone(to)
    if destination is None:
        return Denied("That is not an e-mail address." if method is Method.EMAIL else PHONE_RULE)
    if not acting.is_operator and _sent_lately(tx, acting) >= sent_codes.TESTS_PER_HOUR:
        return Denied(f"{sent_codes.TESTS_PER_HOUR} test messages were sent within an hour. Try again later.")
    trail.record(
        tx, acting, Event.DELIVERY_TESTED, method=method.label, to=sent_codes.masked(method, destination)
    )
    return sent_codes.test_message(method, destination, tx.services.issuer)


def record_refusal(tx: Tx, method: Method, reason: str) -> None:
    """Record that a carrier did not take a test message."""
    carrier_failures.note(tx, method, reason)


def _sent_lately(tx: Tx, acting: Acting) -> int:
    table = models.AuditEntry
    tests = (table.account == acting.account_id) & (table.event == Event.DELIVERY_TESTED.value)
    mine = tests & (table.actor == acting.name) & (table.at > tx.now - sent_codes.HOUR)
    return int(table.select().where(mine).count())
