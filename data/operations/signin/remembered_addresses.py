"""Remembered addresses: where a user recently gave a code and is not asked for another."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import SQL, Value

from data.operations.actors import ActingUser, policy_of, remembers
from data.operations.audit import trail
from data.operations.guards import require_user
from data.operations.results import Done
from data.operations.signin.sessions import rejudge_sessions_of
from data.rules.audit_events import Event
from data.rules.remembered_addresses import credential_words, end_of, may_remember, still_holds, went_back
from data.rules.source_addresses import Origin
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

NOTHING_REMEMBERED = "No address is remembered."


@dataclass(frozen=True, slots=True)
class Remembered:
    """An address from which a user is not asked for a code, with the first factor it goes with."""

    id: int
    address: str
    first_factor: str
    until: datetime


def is_remembered(tx: Tx, user: models.User, origin: Origin, credential: str) -> bool:
    """Whether this user, who is signing in, recently gave a code from this address with this first factor.

    All addresses are forgotten if the clock turns out to have gone back.
    """
    if may_remember(policy_of(user.account), origin) and went_back(tx.now, user.last_signin_at):
        _forget_after_clock(tx, user, origin)
        return False
    return remembers(tx, user, origin, credential)


def remember(tx: Tx, user: models.User, origin: Origin, credential: str) -> None:
    """Remember where a code was just accepted, if the policy allows it; expired addresses are forgotten."""
    policy = policy_of(user.account)
    if not may_remember(policy, origin):
        return
    table = models.RememberedAddress
    until = end_of(tx.now, policy.remember_days)
    table.delete().where((table.user == user.id) & (table.until <= tx.now)).execute()
    table.insert(
        user=user.id, address=origin.address, credential=credential, accepted_at=tx.now, until=until
    ).on_conflict(
        conflict_target=[table.user, table.address, table.credential],
        update={table.accepted_at: tx.now, table.until: until},
    ).execute()
    trail.write_own(tx, Event.ADDRESS_REMEMBERED, user, origin, until=f"{until:%Y-%m-%d %H:%M} UTC")


_REMEMBERED = Prepared(
    models.RememberedAddress,
    1,
    lambda key: (
        models.RememberedAddress.select()
        .where(models.RememberedAddress.user == key)
        .order_by(models.RememberedAddress.id)
    ),
)


def remembered_of(tx: Tx, user: models.User) -> tuple[Remembered, ...]:
    """Read the addresses from which a user is not asked for a code now."""
    policy = policy_of(user.account)
    return tuple(
        Remembered(row.id, row.address, credential_words(row.credential), row.until)
        for row in _REMEMBERED.all(user.id)
        if still_holds(
            policy,
            accepted_at=row.accepted_at,
            until=row.until,
            now=tx.now,
            last_signin_at=user.last_signin_at,
        )
    )


def forget(user_id: int, *, which: int | None = None, credential: str | None = None) -> int:
    """Forget a user's addresses: all, one, or those of one first factor; return how many."""
    table = models.RememberedAddress
    rows = table.delete().where(table.user == user_id)
    if which is not None:
        rows = rows.where(table.id == which)
    if credential is not None:
        rows = rows.where(table.credential == credential)
    return int(rows.execute())


def shorten(account_id: int, days: int) -> None:
    """Limit how long addresses in an account are remembered to this many days."""
    table = models.RememberedAddress
    users = models.User.select(models.User.id).where(models.User.account == account_id)
    rows = table.user.in_(users)
    if not days:
        table.delete().where(rows).execute()
        return
    longest = timedelta(days=days) // timedelta(microseconds=1)
    end = SQL("accepted_at") + Value(longest)
    table.update({table.until: end}).where(rows & (SQL("until") > end)).execute()


@require_user()
def forget_my_addresses(me: ActingUser, which: int | None = None) -> Done:
    """Forget the actor's own remembered addresses, or one of them."""
    count = forget(me.user.id, which=which)
    if not count:
        return Done(NOTHING_REMEMBERED)
    rejudge_sessions_of(me.tx, me.user.id)
    trail.record(me, Event.ADDRESSES_FORGOTTEN, me.user.name, count=count)
    return Done("Forgotten. You will be asked for a code there again.")


def _forget_after_clock(tx: Tx, user: models.User, origin: Origin) -> None:
    count = forget(user.id)
    if count:
        because = f"{count}, because the clock went back"
        trail.write_own(tx, Event.ADDRESSES_FORGOTTEN, user, origin, count=because)
