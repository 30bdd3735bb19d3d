"""Reminding by e-mail, some days before a deadline, whoever has not set up two-factor authentication.

The account keeps of which day it reminded last, so that each day is reminded of once. After a time in which
nothing ran, only the nearest day is made up for. A part of the users is told in each transaction.
"""

import json
from collections.abc import Iterator

from data.operations.actors import days_left_of, policy_of, read_user
from data.operations.audit import notice_outbox
from data.operations.audit.notice_outbox import Claimed
from data.rules.audit_events import Event
from data.rules.deadline import days_until, newly_seen, reminder_due
from data.rules.domain_types import Method, Mode
from data.rules.invitations import DeadlineLetter, deadline_reminder
from data.rules.sent_codes import Envelope
from data.rules.source_addresses import ON_HOST
from data.rules.user_status import Standing
from data.storage import models
from data.store import Tx

_PART = 200
"""Users who are told in one transaction."""
_MISSING = (Standing.FREE.value, Standing.OBLIGED.value)


def is_due(tx: Tx) -> bool:
    """Whether someone must be reminded now."""
    return any(True for _ in _due(tx))


def remind(tx: Tx) -> None:
    """Queue the reminders of the next users of each account that is due."""
    for account, days in _due(tx):
        is_begun = account.reminded_days == days
        after = account.reminded_user or 0 if is_begun else 0
        table = models.User
        # A sum is in no index: users are read in the order of their numbers, and each only once.
        missing = (table.account + 0 == account.id) & table.standing.in_(_MISSING) & (table.id > after)
        users = list(table.select(table.id, table.email).where(missing).order_by(table.id).limit(_PART))
        models.Account.update(
            reminded_days=days, reminded_user=users[-1].id if len(users) == _PART else None
        ).where(models.Account.id == account.id).execute()
        rows = [
            {
                "user": user.id,
                "recipient": user.email,
                "event": Event.DEADLINE_NEAR.value,
                "actor": notice_outbox.ACTOR,
                "application": ON_HOST.application,
                "address": ON_HOST.address,
                "detail": json.dumps({}),
                "at": tx.now,
                "next_try_at": tx.now,
            }
            for user in users
        ]
        if rows:
            models.Notice.insert_many(rows).execute()


def word(tx: Tx, claimed: Claimed) -> Envelope | None:
    """Word a claimed reminder by what is true now; settle it and return None if they have set it up."""
    user = read_user(claimed.user_id)
    policy = None if user is None else policy_of(user.account)
    ahead = policy is not None and days_until(policy, tx.now) is not None
    is_missing = user is not None and user.standing in _MISSING and user.email == claimed.to
    if user is None or policy is None or policy.deadline is None or not ahead or not is_missing:
        notice_outbox.drop(tx, claimed)
        return None
    left = days_left_of(policy, user, tx.now)
    account, services = user.account.name, tx.services
    return deadline_reminder(
        DeadlineLetter(claimed.to, user.name, account, services.issuer, policy.deadline, left, services.ssh)
    )


def note_time(tx: Tx) -> None:
    """Keep the hour that it is now where a deadline or days of grace depend on it."""
    table = models.Account
    for account in list(table.select().where(table.mode == Mode.REQUIRED.value)):
        if (hour := newly_seen(policy_of(account), tx.now)) is not None:
            table.update(seen_at=hour).where(table.id == account.id).execute()


def _due(tx: Tx) -> Iterator[tuple[models.Account, int]]:
    """Yield the accounts that are due for a reminder, and of how many days before the deadline."""
    table = models.Account
    ahead = (table.mode == Mode.REQUIRED.value) & (table.deadline > tx.now)
    for account in list(table.select().where(ahead)) if Method.EMAIL in tx.services.sends else []:
        days, told = reminder_due(policy_of(account), tx.now), account.reminded_days
        is_next = days is not None and (told is None or days < told)
        if days is not None and (is_next or (days == told and account.reminded_user is not None)):
            yield account, days
