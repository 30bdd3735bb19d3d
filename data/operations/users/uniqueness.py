"""Names and e-mail addresses are unique in the whole installation: what is said if one is already used.

The actor may belong to another account and must not learn who is in this one. So a name is refused in the
same words wherever its user is, and for an address its owner is told instead of the actor.
"""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from peewee import fn

from data.operations.actors import Acting
from data.operations.audit import notices
from data.operations.guards import require_permission
from data.operations.results import Denied
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.permissions import Action
from data.rules.source_addresses import ON_HOST
from data.rules.user_fields import numbered
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

_ONCE = timedelta(days=1)
"""An owner is told at most once within this time, however often their address is tried."""
KEPT_AFTER_DELETION = timedelta(days=7)
"""How long a deleted user's name is given to no one, so that people who trust it learn of it first."""
_SOMEBODY = "system:addresses"


def name_refused(name: str, offer: str | None) -> str:
    """Refuse a name, and say which one can be used."""
    return f"The name {name} cannot be used. " + (f"{offer} is free." if offer else "Choose another one.")


def email_refused(tx: Tx) -> str:
    """Refuse an e-mail address, and say who is told why."""
    said = "That e-mail address cannot be used. Enter another one."
    return f"{said} A message to that address says why." if Method.EMAIL in tx.services.sends else said


def used_names(tx: Tx, asked: Collection[str]) -> dict[str, str | None]:
    """Return the used names, each with a similar free one if there is one."""
    used = _used(tx, "name", asked)
    near = {name: numbered(name) for name in used}
    kept = _used(tx, "name", [other for others in near.values() for other in others]) | set(asked)
    return {name: next((other for other in near[name] if other not in kept), None) for name in used}


def used_emails(tx: Tx, asked: Collection[str]) -> set[str]:
    """Return the used e-mail addresses."""
    return _used(tx, "email", asked)


def used_since(tx: Tx, batch: int) -> set[tuple[int, str]]:
    """Return the rows of an import whose name or e-mail address is now used, each with the column."""
    staged: Any = models.StagedUser
    found: set[tuple[int, str]] = set()
    for column in ("name", "email"):
        own = getattr(staged, column)
        for held in _holders(column, tx.now - KEPT_AFTER_DELETION, own.__eq__):
            rows = staged.select(staged.row).where((staged.batch == batch) & fn.EXISTS(held))
            found |= {(row, column) for (row,) in rows.tuples()}
    return found


def refuse_used(tx: Tx, fields: dict[str, str]) -> Denied | None:
    """Refuse a name or an e-mail address that is used; the owner of the address is told."""
    if (name := fields.get("name")) is not None and (used := used_names(tx, [name])):
        return Denied(name_refused(name, used[name]))
    if (email := fields.get("email")) is not None and used_emails(tx, [email]):
        tell(tx, [email])
        return Denied(email_refused(tx))
    return None


@require_permission(Action.MANAGE_PEOPLE)
def tell_owners(acting: Acting, emails: Collection[str]) -> None:
    """Tell the owners of e-mail addresses that someone tried to use them for others."""
    tell(acting.tx, emails)


def tell(tx: Tx, emails: Collection[str]) -> None:
    """Tell each owner once a day, without saying who asked."""
    users, sent = models.User, models.Notice
    lately = sent.select(sent.user).where(
        (sent.event == Event.EMAIL_ASKED_FOR.value) & (sent.at > tx.now - _ONCE)
    )
    for owner in users.select().where(users.email.in_(list(emails)) & users.id.not_in(lately)):
        notices.tell(
            tx,
            Event.EMAIL_ASKED_FOR,
            owner,
            [owner.email],
            actor=_SOMEBODY,
            origin=ON_HOST,
            detail={},
        )


def _used(tx: Tx, column: str, asked: Collection[str]) -> set[str]:
    since = tx.now - KEPT_AFTER_DELETION
    if len(asked) == 1:
        at = models.microseconds(since)
        return {value for value in asked if any(held.one(value, at) for held in _OF_ONE[column])}
    holders = _holders(column, since, lambda held: held.in_(list(asked))) if asked else []
    return {value for held in holders for (value,) in held.tuples()}


def _holders(column: str, since: Any, asked: Callable[[Any], Any]) -> list[Any]:
    """Select which of the wanted names or e-mail addresses are used.

    Used are those of users and of rows whose import is published, and the names of users deleted `since`.
    """
    users, deleted = models.User, models.DeletedUser
    staged, batch = models.StagedUser.alias(), models.ImportBatch
    of_user, of_staged = getattr(users, column), getattr(staged, column)
    published = staged.select(of_staged).join(batch, on=(staged.batch == batch.id))
    found = [
        users.select(of_user).where(asked(of_user)),
        published.where(asked(of_staged) & batch.published_at.is_null(False)),
    ]
    if column == "name":
        found.append(deleted.select(deleted.name).where(asked(deleted.name) & (deleted.at > since)))
    return found


def _of_one(column: str, *tables: type[Any]) -> list[Prepared[Any]]:
    """Prepare what tells whether one name or address is used, as for each user who is created."""

    def prepared(number: int) -> Prepared[Any]:
        return Prepared(tables[number], 2, lambda value, since: _holders(column, since, value.__eq__)[number])

    return [prepared(number) for number in range(len(tables))]


_OF_ONE = {
    "name": _of_one("name", models.User, models.StagedUser, models.DeletedUser),
    "email": _of_one("email", models.User, models.StagedUser),
}
