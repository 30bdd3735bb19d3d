"""Leases: work that a user may have in progress only once, over all sessions, processes and nodes.

A lease is a row. It counts until it runs out, and only while its session is open, so that interrupted
work does not block anything for long. The operator on the host takes none.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from data.operations.actors import Acting, Actor, resolve
from data.operations.results import Denied, Refused
from data.storage import models
from data.store import Store, StoreUnavailableError, Tx

R = TypeVar("R")


class Work(Enum):
    """Work that a user does one at a time, with its name in messages and how long a lease of it counts.

    It is given back when the work has ended, unless the database fails then. The lease of an export
    counts until the next page is requested.
    """

    PASSWORD = "password", "password change or check", timedelta(minutes=2)
    BULK = "bulk", "bulk action", timedelta(hours=1)
    EXPORT = "export", "export", timedelta(minutes=1)

    def __init__(self, kind: str, words: str, life: timedelta) -> None:
        self.kind = kind
        self.life = life
        self.refusal = Denied(
            f"Another {words} of yours is in progress, here or in another session. Try again when it has "
            "finished."
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken; without a user, it is the operator's, who needs none."""

    work: Work
    user_id: int | None
    until: int


async def one_at_a_time(
    store: Store, actor: Actor, work: Work, act: Callable[[], Awaitable[R]]
) -> R | Refused:
    """Run `act` under a lease; refused while the same user has the same work in progress.

    An act that goes on when its caller is cancelled needs `store.finish` around this, not inside it.
    """
    lease = await store.run(take, actor, work)
    if not isinstance(lease, Lease):
        return lease
    try:
        return await act()
    finally:
        with suppress(StoreUnavailableError):  # The lease then ends with its session.
            await store.run(give_back, lease)


def take(tx: Tx, actor: Actor, work: Work) -> Lease | Refused:
    """Take a lease, unless the user has one for the same work."""
    acting = resolve(tx, actor)
    if not isinstance(acting, Acting):
        return acting
    if acting.user is None or acting.session is None:
        return Lease(work, None, 0)
    return work.refusal if _live(tx, acting.user.id, work) else _write(tx, acting.session, work)


def give_back(_tx: Tx, lease: Lease) -> None:
    """End a lease, unless it has run out and now belongs to someone else."""
    if lease.user_id is not None:
        of_moment = models.Lease.until == models.moment(lease.until)
        models.Lease.delete().where(_of(lease.user_id, lease.work) & of_moment).execute()


def hold_for_page(acting: Acting, *, first: bool, last: bool) -> Denied | None:
    """Hold the lease of an export that is read page by page, from the first page to the last."""
    if acting.user is None or acting.session is None:
        return None
    held = _live(acting.tx, acting.user.id, Work.EXPORT)
    if first and held is not None:
        return Work.EXPORT.refusal
    if not first and (held is None or held.session_id != acting.session.id):
        return Denied("The export took too long and was stopped. Start it again.")
    if not last:
        _write(acting.tx, acting.session, Work.EXPORT)
    elif held is not None:
        models.Lease.delete().where(_of(acting.user.id, Work.EXPORT)).execute()
    return None


def _live(tx: Tx, user_id: int, work: Work) -> models.Lease | None:
    found: models.Lease | None = models.Lease.get_or_none(_of(user_id, work))
    if found is None or found.session.ended_at is not None:
        return None
    return found if tx.now < found.until <= tx.now + work.life else None


def _write(tx: Tx, session: models.Session, work: Work) -> Lease:
    until = tx.now + work.life
    models.Lease.delete().where(_of(session.user_id, work)).execute()
    models.Lease.insert(user=session.user_id, kind=work.kind, session=session.id, until=until).execute()
    return Lease(work, session.user_id, models.microseconds(until))


def _of(user_id: int, work: Work) -> object:
    return (models.Lease.user == user_id) & (models.Lease.kind == work.kind)
