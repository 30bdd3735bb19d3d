"""Recovery codes: five, shown once; new ones void the old ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import Case

from data.operations.actors import ActingUser
from data.operations.audit import trail
from data.operations.derived_user_columns import refresh_few_codes
from data.operations.guards import require_fresh_proof, require_user
from data.operations.results import Denied, Done, FreshProofNeeded
from data.rules import code_answers, recovery_codes
from data.rules.audit_events import Event
from data.rules.domain_types import Mode
from data.rules.policy import NOT_AVAILABLE, SignedIn, may_set_up
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedWrite, insert_rows
from data.store import Tx


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """Codes to be shown once."""

    recovery_codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CodesReplaced(Denied):
    """The codes that were shown are void: there is nothing left to confirm."""


@require_user(restricted=(SignedIn,))
def confirm_saved(me: ActingUser, shown: Sequence[str] = ()) -> Done | Denied:
    """Record that the recovery codes were saved, so that they are not shown again.

    Those that were shown are refused if others have replaced them since.
    """
    if not me.facts.enrolled:
        return Denied("There are no recovery codes to save. Set up two-factor authentication first.")
    if shown and not _is_any_good(me.user.id, shown):
        return CodesReplaced(
            "Newer recovery codes have replaced these in the meantime. Only the newer ones work."
        )
    models.User.update(recovery_saved=True).where(models.User.id == me.user.id).execute()
    trail.record(me, Event.RECOVERY_SAVED, me.user.name)
    return Done("Recovery codes saved.")


def _is_any_good(user_id: int, shown: Sequence[str]) -> bool:
    table = models.RecoveryCode
    rows = table.select().where((table.user == user_id) & table.expires_at.is_null())
    parsed = (recovery_codes.parse(code) for code in shown if len(code) <= code_answers.LONGEST)
    return not {row.selector for row in rows}.isdisjoint(parts.selector for parts in parsed if parts)


@require_user()
def replace_unsaved_codes(me: ActingUser) -> NewRecoveryCodes | None:
    """Create new recovery codes at sign-in if the last ones were never confirmed as saved.

    Only for a user who gave a code: neither a remembered address nor a temporary code earns new ones.
    """
    if me.user.recovery_saved or not me.facts.enrolled or me.policy.mode is Mode.OFF:
        return None
    if me.session.code_at is None or me.session.temporary_code or too_many_sets(me.tx, me.user):
        return None
    return _renew(me)


@require_user()
def renew_recovery_codes(me: ActingUser) -> NewRecoveryCodes | Denied | FreshProofNeeded:
    """Create five new recovery codes, which voids the old ones."""
    return why_not_renew(me) or require_fresh_proof(me) or too_many_sets(me.tx, me.user) or _renew(me)


def why_not_renew(me: ActingUser) -> Denied | None:
    """Return why someone cannot have recovery codes, or None."""
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    if not me.facts.enrolled:
        return Denied("Set up two-factor authentication first; recovery codes come with it.")
    return None


def too_many_sets(tx: Tx, user: models.User) -> Denied | None:
    """Refuse another set of codes within an hour of the clock: each set costs five hashes."""
    if user.renewal_hour != _hour(tx) or user.renewal_count < recovery_codes.SETS_PER_HOUR:
        return None
    return Denied(
        f"You were given {recovery_codes.SETS_PER_HOUR} sets of recovery codes within an hour. "
        "Try again later."
    )


def _hour(tx: Tx) -> int:
    return int(tx.now.timestamp()) // 3600


def issue_recovery_codes(tx: Tx, user_id: int) -> tuple[str, ...]:
    """Give a user five recovery codes, not yet confirmed as saved, that replace all earlier ones."""
    _DELETE.run_unanswered(user_id)
    issued = issue_codes(tx, user_id, recovery_codes.CODES)
    hour = _hour(tx)
    _COUNT_SET.run_unanswered(hour, hour, user_id)
    return issued


def _count_set(hour: Any, same: Any, user_id: Any) -> Any:
    user = models.User
    count = Case(None, [(user.renewal_hour == same, user.renewal_count + 1)], 1)
    return user.update(recovery_saved=False, renewal_hour=hour, renewal_count=count).where(user.id == user_id)


_DELETE = PreparedWrite(
    1,
    lambda user_id: models.RecoveryCode.delete().where(
        (models.RecoveryCode.user == user_id) & models.RecoveryCode.expires_at.is_null()
    ),
)
_COUNT_SET = PreparedWrite(3, _count_set)
_ALL = Prepared(
    models.RecoveryCode,
    1,
    lambda user_id: models.RecoveryCode.select().where(models.RecoveryCode.user == user_id),
)


def issue_codes(tx: Tx, user_id: int, count: int, *, expires_at: datetime | None = None) -> tuple[str, ...]:
    """Give a user this many more codes, found by selectors that none of their other codes has."""
    taken = {row.selector for row in _ALL.all(user_id)}
    issued: list[str] = []
    rows: list[dict[str, object]] = []
    while len(issued) < count:
        code = recovery_codes.from_random(tx.services.random_bytes(recovery_codes.LENGTH))
        parts = recovery_codes.parse(code)
        if parts is None or parts.selector in taken:
            continue
        taken.add(parts.selector)
        issued.append(code)
        rows.append(
            {
                "user_id": user_id,
                "selector": parts.selector,
                "secret_hash": tx.services.recovery_hasher.hash(parts.secret),
                "expires_at": expires_at and models.microseconds(expires_at),
            }
        )
    insert_rows(models.RecoveryCode, rows)
    return tuple(issued)


def _renew(me: ActingUser) -> NewRecoveryCodes:
    issued = issue_recovery_codes(me.tx, me.user.id)
    refresh_few_codes(me.user.id)
    trail.record(me, Event.RECOVERY_RENEWED, me.user.name)
    return NewRecoveryCodes(issued)
