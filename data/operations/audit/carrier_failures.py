"""The last failure of each carrier: of the whole installation, and without anything of a message."""

from data.rules.domain_types import Method
from data.storage import models
from data.storage.models import CARRIER_REASON_LENGTH
from data.store import Tx


def note(tx: Tx, method: Method, reason: str) -> None:
    """Keep why a method's carrier did not take a message, in the place of what was kept before."""
    table = models.CarrierFailure
    row = table.insert(method=method.value, at=tx.now, reason=reason[:CARRIER_REASON_LENGTH])
    row.on_conflict(conflict_target=[table.method], preserve=[table.at, table.reason]).execute()


def last(method: Method) -> models.CarrierFailure | None:
    """Read the last failure of a method's carrier."""
    table = models.CarrierFailure
    found: models.CarrierFailure | None = table.get_or_none(table.method == method.value)
    return found
