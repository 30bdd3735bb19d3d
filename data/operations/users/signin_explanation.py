"""Why can't they sign in? The facts about one user, gathered for the rules that explain them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import fn

from data.operations.actors import factor_of, facts_of, policy_of, usable_factors
from data.operations.audit import notice_outbox
from data.operations.audit.wrong_codes import entries_about, failures_of, spent_attempts
from data.operations.signin import code_verification
from data.operations.signin.remembered_addresses import remembered_of
from data.operations.signin.resync import offered_until
from data.operations.signin.temporary_codes import temporary_code_until
from data.operations.signin.uncounted_attempts import uncounted_answers
from data.operations.users.target_user import Target
from data.operations.users.user_acts import require_target
from data.operations.users.user_summaries import key_rows
from data.rules import clock_jumps, passwords, throttle
from data.rules.audit_events import Event
from data.rules.domain_types import Method
from data.rules.permissions import Action
from data.rules.sent_codes import DAY, Purpose
from data.rules.signin_explanation import Known, Reason, Success, Undelivered, Weight, explain
from data.storage import models
from data.store import Tx

SUCCESSES = 3
"""How many of the last sign-ins are shown."""
_REPLAYS_OF = timedelta(days=1)
_REPLAYS = 20
_UNDELIVERED = 50


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer about one user; its sentences may hold foreign strings."""

    name: str
    reasons: tuple[Reason, ...]

    @property
    def can_sign_in(self) -> bool:
        """The verdict, which is the first reason."""
        return self.reasons[0].weight is not Weight.STOPS


@require_target(Action.SEE_PEOPLE)
def explain_user(found: Target) -> Explanation:
    """Explain why a user can or cannot sign in."""
    return Explanation(found.user.name, explain(_known(found.tx, found.user)))


def _known(tx: Tx, user: models.User) -> Known:
    keys = key_rows(user.id)
    policy = policy_of(user.account)
    app = factor_of(user.id, Method.APP)
    factors = usable_factors(user.id, policy)
    used = [key.last_used_at for key in keys if key.last_used_at]
    return Known(
        name=user.name,
        policy=policy,
        user=facts_of(tx, user, factors),
        now=tx.now,
        has_password=user.password_hash is not None,
        one_time_until=user.one_time_until,
        mailed_at=user.password_mailed_at,
        invited_at=notice_outbox.invited_since(user.id),
        one_time_ended=passwords.one_time_ended(tx.now, user.one_time_until),
        keys=len(keys),
        key_used_at=max(used, default=None),
        locked_at=user.locked_at,
        enrolled_at=min((factor.confirmed_at for factor in factors), default=None),
        recovery_left=code_verification.codes_left(user.id),
        temporary_until=temporary_code_until(tx, user.id),
        attempts_left=user.attempts_left,
        wrong=spent_attempts(user, user.attempts_left),
        replayed=failures_of(
            [
                row
                for row in entries_about(user, Event.CODE_REPLAYED, _REPLAYS)
                if tx.now - row.at <= _REPLAYS_OF
            ]
        ),
        uncounted=uncounted_answers(tx, user.id),
        clock_offset=app.last_offset if app else None,
        drift=app.drift if app else 0,
        refused_until=_refused_until(tx, app),
        resync_until=offered_until(tx, app),
        first_factor_failures=_first_factor_failures(tx, user),
        remembered=tuple((row.address, row.first_factor, row.until) for row in remembered_of(tx, user)),
        successes=tuple(_success(row) for row in entries_about(user, Event.SIGNED_IN, SUCCESSES)),
        unreachable=_unreachable(tx, user),
        undelivered=tuple(_undelivered(tx, user)),
        notices_waiting=_notices_waiting(user),
    )


def _refused_until(tx: Tx, app: models.Factor | None) -> datetime | None:
    """Return until when a user's codes are refused because of a clock jump, if they are."""
    if app is None or app.last_step <= clock_jumps.last_honest_step(tx.now, app.drift):
        return None
    return clock_jumps.stuck_until(app.last_step, app.drift)


def _first_factor_failures(tx: Tx, user: models.User) -> int:
    """Count the failures of the last quarter of an hour."""
    table = models.FirstFactorFailures
    since = int(tx.now.timestamp()) // 60 - throttle.WINDOW_MINUTES
    bucket = tx.services.vault.bucket(user.name)
    mine = (table.bucket == bucket) & (table.minute > since) & (table.user_id == user.id)
    return int(table.select(fn.COALESCE(fn.SUM(table.count), 0)).where(mine).scalar())


def _unreachable(tx: Tx, user: models.User) -> frozenset[Method]:
    """Return the methods by which a code does not reach a user now."""
    table = models.SentCode
    mine = (table.user == user.id) & (table.purpose == Purpose.PROOF.value) & (table.sent_at > tx.now - DAY)
    found = set()
    for method in Method:
        if not method.is_sent:
            continue
        last = table.select().where(mine & (table.method == method.value)).order_by(table.id.desc()).first()
        if method not in tx.services.sends or (last is not None and last.failed):
            found.add(method)
    return frozenset(found)


def _undelivered(tx: Tx, user: models.User) -> Iterator[Undelivered]:
    """Return which codes and notices of the last day were not delivered."""
    rows = [row for row in entries_about(user, Event.CODE_NOT_SENT, _UNDELIVERED) if tx.now - row.at <= DAY]
    details = [(row.at, json.loads(row.detail)) for row in rows]
    for label in dict.fromkeys(str(detail.get("method", "?")) for _, detail in details):
        mine = [(at, detail) for at, detail in details if detail.get("method", "?") == label]
        at, last = mine[0]
        yield Undelivered("code", label, len(mine), at, str(last.get("because", "")))
    abandoned = [
        row for row in entries_about(user, Event.NOTICE_ABANDONED, _UNDELIVERED) if tx.now - row.at <= DAY
    ]
    if abandoned:
        yield Undelivered("notice", Method.EMAIL.label, len(abandoned), abandoned[0].at)


def _notices_waiting(user: models.User) -> int:
    table = models.Notice
    tried = (table.user == user.id) & table.done_at.is_null() & (table.tries > 0)
    return int(table.select().where(tried).count())


def _success(row: models.AuditEntry) -> Success:
    methods = json.loads(row.detail).get("methods", "?")
    return Success(row.at, row.application, row.address, str(methods))
