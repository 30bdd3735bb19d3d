"""Where a user has lately signed in from: a sign-in from elsewhere is told them by e-mail."""

from datetime import timedelta

from data.operations.actors import origin_of, policy_of
from data.operations.audit import notices
from data.rules.audit_events import Event
from data.rules.domain_types import FirstFactor, PolicyNotice
from data.rules.known_places import KNOWN_DAYS, new_places_in_words, places_of, read_places, write_places
from data.rules.source_addresses import Origin
from data.storage import models
from data.store import Tx

_LOOKED_AT = 1_000
"""Sessions of a user that are searched for known places: a user who signs in constantly has millions."""


def note_place(tx: Tx, user: models.User, origin: Origin, first_factor: FirstFactor, credential: str) -> str:
    """Return the user's known places with those of this sign-in, and tell the user if one of them is new.

    It runs before the session is opened and the sign-in recorded. Of the first sign-in nothing is told,
    because every place would be new. Places are noted whether or not anyone is told, so that nobody is
    told of old ones after the notice or the mail server is turned on.
    """
    today, here = models.day_number(tx.now), places_of(origin, first_factor, credential)
    known = _known(tx, user, today)
    new = here - known.keys()
    is_told = PolicyNotice.NEW_PLACES in policy_of(user.account).notices
    if new and is_told and user.last_signin_at is not None:
        said = new_places_in_words(sorted(new), credential)
        detail = {"places": said}
        notices.tell(tx, Event.NEW_PLACE, user, [user.email], actor=user.name, origin=origin, detail=detail)
    return write_places(known | dict.fromkeys(here, today))


def _known(tx: Tx, user: models.User, today: int) -> dict[str, int]:
    """Read a user's known places; of one who has not signed in since they are kept, from the sessions."""
    if user.known_places is not None:
        return read_places(user.known_places, today)
    if user.last_signin_at is None:
        return {}
    table = models.Session
    since = tx.now - timedelta(days=KNOWN_DAYS)
    newest = table.select().where(table.user == user.id).order_by(table.id.desc()).limit(_LOOKED_AT)
    # From the oldest to the newest, so that the last day of each place stays.
    return {
        place: models.day_number(row.started_at)
        for row in reversed(list(newest))
        if not row.restricted and row.started_at > since
        for place in places_of(origin_of(row), FirstFactor(row.first_factor), row.credential)
    }
