"""Columns derived from other rows, so that tables and counts read indexes only: standings and search words.

Any operation that changes the source of these columns updates them in the same transaction.
"""

from datetime import datetime
from typing import Any

from peewee import Case, fn

from data.rules.domain_types import Method
from data.rules.recovery_codes import FEW_LEFT
from data.rules.user_search import words
from data.rules.user_status import Standing
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedWrite, insert_rows


def refresh_standing(which: Any, at: datetime) -> None:
    """Update users' standings after their columns, roles, factors or their account's methods changed.

    `which` is a condition on users. Those whose standing is another one now have it since `at`.
    """
    _with_standing(which, at).execute()


def refresh_standing_of(user_id: int, at: datetime) -> None:
    """Update a single user's standing, as `refresh_standing` does."""
    _STAND.run_unanswered(models.microseconds(at), user_id)


def refresh_few_codes(user_id: int) -> None:
    """Update whether a user has few recovery codes left, after their factors or codes changed."""
    _COUNT_CODES.run_unanswered(user_id)


def standing_column() -> Any:
    """Return the rule `standing_of` as SQL."""
    user = models.User
    return Case(
        None,
        [
            (user.standing == models.TOMBSTONE, models.TOMBSTONE),
            (user.active == False, Standing.DEACTIVATED.value),  # noqa: E712 - peewee builds SQL from it.
            (user.locked_at.is_null(False), Standing.LOCKED.value),
            (_enrolled(), Standing.ENROLLED.value),
            (user.required | user.lost_factor | _holds_role(), Standing.OBLIGED.value),
        ],
        Standing.FREE.value,
    )


def few_codes_column() -> Any:
    """Return as SQL whether a user has a factor, and `FEW_LEFT` unused recovery codes or fewer."""
    code, factor = models.RecoveryCode, models.Factor
    mine = (code.user == models.User.id) & code.used_at.is_null() & code.expires_at.is_null()
    unused = code.select(fn.COUNT(code.id)).where(mine)
    return fn.EXISTS(factor.select(1).where(factor.user == models.User.id)) & (unused <= FEW_LEFT)


def reindex_user(user_id: int) -> None:
    """Rewrite the words that a user is found by."""
    (user,) = _USER.all(user_id)
    _FORGET_WORDS.run_unanswered(user_id)
    found = words(user.name, user.email, user.full_name, phone=user.phone)
    insert_rows(
        models.UserWord,
        [{"user_id": user_id, "account_id": user.account_id, "word": word.encode()} for word in found],
    )


def reindex_practice(practice_id: int, account_id: int, name: str) -> None:
    """Rewrite the words that the users of a practice are found by."""
    models.PracticeWord.delete().where(models.PracticeWord.practice == practice_id).execute()
    rows = [
        {"practice": practice_id, "account_id": account_id, "word": word.encode()} for word in words(name)
    ]
    if rows:
        models.PracticeWord.insert_many(rows).execute()


def _enrolled() -> Any:
    factor, account = models.Factor, models.Account
    switches = {Method.APP: account.app_on, Method.SMS: account.sms_on, Method.EMAIL: account.email_on}
    usable = [(factor.kind == method.value) & on for method, on in switches.items()]
    return fn.EXISTS(
        factor.select(1)
        .join(account, on=(account.id == models.User.account))
        .where((factor.user == models.User.id) & (usable[0] | usable[1] | usable[2]))
    )


def _holds_role() -> Any:
    table = models.UserRole
    return fn.EXISTS(table.select(1).where(table.user == models.User.id))


def _with_standing(which: Any, at: Any) -> Any:
    user, standing = models.User, standing_column()
    return user.update(standing=standing, standing_since=at).where(which & (user.standing != standing))


def _with_few_codes(user_id: Any) -> Any:
    user, few = models.User, few_codes_column()
    return user.update(few_codes=few).where((user.id == user_id) & (user.few_codes != few))


_STAND = PreparedWrite(2, lambda at, user_id: _with_standing(models.User.id == user_id, at))
_COUNT_CODES = PreparedWrite(1, _with_few_codes)
_USER = Prepared(models.User, 1, lambda user_id: models.User.select().where(models.User.id == user_id))
_FORGET_WORDS = PreparedWrite(
    1, lambda user_id: models.UserWord.delete().where(models.UserWord.user == user_id)
)
