"""A clock that was ahead: finding the users whose codes are refused because of it, and helping them.

A code is good once, and only steps after the last one are good. A user who signed in while the clock here
and the phone's were both ahead must wait until that time really comes, unless the operator confirms that
the clock is now right. The steps that were spent ahead of time stay spent.
"""

from dataclasses import dataclass
from datetime import datetime

from data.operations.actors import Acting, Operator, in_each_account
from data.operations.audit import trail
from data.operations.policy.deadlines import forget_later_time
from data.operations.results import Denied, Done
from data.rules import clock_jumps
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.storage import models
from data.store import Tx


@dataclass(frozen=True, slots=True)
class StuckUser:
    """A user whose codes are refused until a moment in the future."""

    account: str
    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class AheadAccount:
    """An account whose deadline and days of grace are judged at a moment that is yet to come."""

    account: str
    until: datetime


def newest_entry(_tx: Tx) -> datetime | None:
    """Return the latest moment at which anything was recorded."""
    table = models.AuditEntry
    row = table.select(table.at).order_by(table.id.desc()).first()
    return row.at if row else None


def database_clock(tx: Tx) -> datetime | None:
    """Read the clock of the database server; None if the database is a file."""
    return tx.database.clock()


def list_stuck(tx: Tx, operator: Operator) -> tuple[StuckUser, ...] | Denied:
    """Return the stuck users of every account, or of the one that the operator names."""
    accounts = in_each_account(tx, operator)
    if isinstance(accounts, Denied):
        return accounts
    found: list[StuckUser] = []
    for acting in accounts:
        account = models.Account.get_by_id(acting.account_id).name
        found += [
            StuckUser(account, factor.user.name, clock_jumps.stuck_until(factor.last_step, factor.drift))
            for factor in _stuck_factors(acting)
        ]
    return tuple(found)


def list_ahead(tx: Tx, operator: Operator) -> tuple[AheadAccount, ...] | Denied:
    """Return the accounts that saw a later time than it is now, or the one that the operator names."""
    accounts = in_each_account(tx, operator)
    if isinstance(accounts, Denied):
        return accounts
    rows = [models.Account.get_by_id(acting.account_id) for acting in accounts]
    return tuple(AheadAccount(row.name, row.seen_at) for row in rows if row.seen_at > tx.now)


def bring_back(tx: Tx, operator: Operator) -> Done | Denied:
    """Let stuck users sign in again, from the code after their phone's next one, and forget later times.

    The present code and the next may already have been accepted: a code is good up to one step early.
    """
    accounts = in_each_account(tx, operator)
    if isinstance(accounts, Denied):
        return accounts
    count = ahead = 0
    for acting in accounts:
        ahead += forget_later_time(acting)
        for factor in _stuck_factors(acting):
            _bring_back(acting, factor)
            count += 1
    if not count and ahead:
        return Done("Deadlines and days of grace are judged by the clock again.")
    if not count:
        return Denied("No users are affected by a clock jump.")
    return Done(
        f"{count} user{'' if count == 1 else 's'} can sign in again within a minute. The phone's next "
        "code is skipped; the one after it works."
    )


def _stuck_factors(acting: Acting) -> list[models.Factor]:
    table = models.Factor
    honest = clock_jumps.last_honest_step(acting.tx.now, 0)
    rows = (
        table.select(table, models.User)
        .join(models.User)
        .where(
            (models.User.account == acting.account_id)
            & (table.kind == Method.APP.value)
            & (table.last_step - table.drift > honest)
        )
    )
    return list(rows.order_by(models.User.name))


def _bring_back(acting: Acting, factor: models.Factor) -> None:
    now = acting.tx.now
    log, user = models.AuditEntry, factor.user
    ahead = log.select(log.at).where(
        (log.account == acting.account_id) & (log.user == user.name) & (log.at > now)
    )
    spent = clock_jumps.spent_ahead((row.at for row in ahead), factor.last_step, now=now, drift=factor.drift)
    barred = clock_jumps.read_steps(factor.barred_steps) | spent
    last = clock_jumps.last_honest_step(now, factor.drift)
    models.Factor.update(last_step=last, barred_steps=clock_jumps.write_steps(barred)).where(
        models.Factor.id == factor.id
    ).execute()
    # Codes that were sent ahead of time are no longer good, and would only count against new ones.
    sent = models.SentCode
    sent.delete().where((sent.user == user.id) & (sent.sent_at > now)).execute()
    until = clock_jumps.stuck_until(factor.last_step, factor.drift)
    trail.record(acting, Event.STEPS_BROUGHT_BACK, user.name, until=f"{until:%Y-%m-%d %H:%M} UTC")
