"""Names and e-mail addresses are unique in the whole installation: what is said where one is used already.

Whoever asks may belong to another account, and is not to learn who is in it. So a name is refused in the
same words wherever its user is, and of an address its owner is told instead of the one who asks.
"""

from collections.abc import Collection
from datetime import timedelta

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
from data.store import Tx

_ONCE = timedelta(days=1)
"""Within which an owner is told once, however often their address is asked for."""
KEPT_AFTER_DELETION = timedelta(days=7)
"""For how long nobody is given the name of a deleted user: whoever still trusts it can hear of it first."""
_SOMEBODY = "system:addresses"


def name_refused(name: str, offer: str | None) -> str:
    """Say that a name cannot be used, and which one can."""
    return f"The name {name} cannot be used. " + (f"{offer} is free." if offer else "Choose another one.")


def email_refused(tx: Tx) -> str:
    """Say that an e-mail address cannot be used, and who is told why."""
    said = "That e-mail address cannot be used. Give another one."
    return f"{said} Its mailbox gets a message that says why." if Method.EMAIL in tx.services.sends else said


def used_names(tx: Tx, asked: Collection[str]) -> dict[str, str | None]:
    """Return the names that are used, each with a free one in its place where there is one near."""
    used = _used(tx, asked)
    near = {name: numbered(name) for name in used}
    kept = _used(tx, [other for others in near.values() for other in others]) | set(asked)
    return {name: next((other for other in near[name] if other not in kept), None) for name in used}


def used_emails(asked: Collection[str]) -> set[str]:
    """Return the e-mail addresses that are used."""
    table = models.User
    return {row.email for row in table.select(table.email).where(table.email.in_(list(asked)))}


def refuse_used(tx: Tx, fields: dict[str, str]) -> Denied | None:
    """Refuse a name or an e-mail address that is used; the address' owner is told."""
    if (name := fields.get("name")) is not None and (used := used_names(tx, [name])):
        return Denied(name_refused(name, used[name]))
    if (email := fields.get("email")) is not None and used_emails([email]):
        tell(tx, [email])
        return Denied(email_refused(tx))
    return None


@require_permission(Action.MANAGE_PEOPLE)
def tell_owners(acting: Acting, emails: Collection[str]) -> None:
    """Tell the owners of e-mail addresses that somebody asked to use them for others."""
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


def _used(tx: Tx, asked: Collection[str]) -> set[str]:
    """Return the names that somebody has, or had until a week ago."""
    found: set[str] = set()
    deleted = models.DeletedUser
    for table, still in ((models.User, True), (deleted, deleted.at > tx.now - KEPT_AFTER_DELETION)):
        found |= {row.name for row in table.select(table.name).where(table.name.in_(list(asked)) & still)}
    return found
