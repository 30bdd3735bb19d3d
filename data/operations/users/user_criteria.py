"""The criteria that users are found by, each as SQL: which users meet it, and whether a given user does.

Each is read from an index, so that a limited number of entries costs the same however many there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from peewee import SQL, fn

from data.operations.users.queries import is_in_part, pending_since_before, standings_pending_since
from data.rules.deadline import Demand
from data.rules.domain_types import Method, Role, Status
from data.rules.user_search import word_range
from data.rules.user_status import Standing
from data.storage import models


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """Selects of the IDs of users who meet a criterion, and whether the user with an ID does.

    `holds` may refer to the columns of `User`, of the row with that ID, and makes so many look-ups.
    `is_exact` says that nobody outside the scope is selected.
    """

    ways: list[Any]
    holds: Callable[[Any], Any]
    lookups: int = 1
    is_exact: bool = False

    def ids(self, most: int) -> Any:
        """Select this many of the users who meet it, some of them twice."""
        return union([way.limit(most) for way in self.ways])


@dataclass(frozen=True, slots=True)
class Scope:
    """The users who are looked at: those of an account or of one of its practices, with these standings."""

    account_id: int
    practice_id: int | None
    standings: Sequence[Standing]

    def of(self, table: Any) -> Any:
        """Return the condition on the account or the practice, for a table that has both."""
        if self.practice_id is not None:
            return table.practice_id == self.practice_id
        return table.account_id == self.account_id

    def criterion(self) -> Criterion:
        """Return the criterion that a user is looked at."""
        user = models.User
        holds = self.of(user) & user.standing.in_([standing.value for standing in self.standings])
        return Criterion([user.select(user.id).where(holds)], lambda _user_id: holds, is_exact=True)


def of_term(account_id: int, term: tuple[str, ...]) -> Criterion:
    """Return the criterion that a user, or the user's practice, has a word with this beginning."""
    user, word, of_practice = models.User, models.UserWord, models.PracticeWord
    ranges = [word_range(beginning) for beginning in term]
    ways: list[Any] = [
        word.select(word.user.alias("id")).where((word.account_id == account_id) & _within(word, keys))
        for keys in ranges
    ]

    def has_word(user_id: Any) -> Any:
        # Without the account, which is known from the user: only the few words of a user must be read.
        own = [word.select(SQL("1")).where((word.user == user_id) & _within(word, keys)) for keys in ranges]
        return reduce(or_, [fn.EXISTS(each) for each in own])

    practices = of_practice.select(of_practice.practice).where(
        reduce(or_, [(of_practice.account_id == account_id) & _within(of_practice, keys) for keys in ranges])
    )
    # If no practice has such a name, words alone decide, and no user is read for it.
    if not practices.exists():
        return Criterion(ways, has_word, len(ways))
    within = user.practice.in_(practices)
    ways.append(user.select(user.id).where(within))
    return Criterion(ways, lambda user_id: has_word(user_id) | within, len(ways))


def of_role(role: Role) -> Criterion:
    """Return the criterion that a user of any account holds a role."""
    table = models.UserRole
    return _of_rows(table, table.role == role.value)


def of_method(method: Method) -> Criterion:
    """Return the criterion that a user of any account has set up a method."""
    table = models.Factor
    return _of_rows(table, table.kind == method.value)


def of_last_signin(scope: Scope, *, never: bool, before: datetime | None) -> Criterion:
    """Return the criterion that a user never signed in, or last did so before a moment."""
    table = models.LastSignin
    ways = [
        table.select(table.user.alias("id")).where(scope.of(table) & (table.standing == standing.value) & so)
        for standing in scope.standings
        for so in _signed_in(table.at, never=never, before=before)
    ]
    holds = reduce(or_, _signed_in(models.User.last_signin_at, never=never, before=before))
    return Criterion(ways, lambda _user_id: holds, is_exact=True)


def of_time_pending(account_id: int, before: datetime, *, is_exact: bool) -> Criterion:
    """Return the criterion that a user has been pending since before a moment."""
    user, account = models.User, models.Account.get_by_id(account_id)
    holds = pending_since_before(account, before)
    # In the order of an index that ends with the moment: PostgreSQL then reads no more than is asked for.
    ways = [
        user.select(user.id).where(holds & (user.standing == standing.value)).order_by(user.standing_since)
        for standing in standings_pending_since(account, before)[1]
    ]
    nobody = user.select(user.id).where(holds)
    return Criterion(ways or [nobody], lambda _user_id: holds, is_exact=is_exact)


def of_grace(scope: Scope, demand: Demand, status: Status) -> Criterion:
    """Return the criterion that days of grace spare a free user, or do not, as the status has it."""
    user, holds = models.User, is_in_part(demand, status)
    ways = [
        user.select(user.id).where(scope.of(user) & (user.standing == standing.value) & holds)
        for standing in scope.standings
    ]
    return Criterion(ways, lambda _user_id: holds, is_exact=True)


def of_few_codes(account_id: int, *, is_exact: bool) -> Criterion:
    """Return the criterion that a user with a second factor has few recovery codes left."""
    user = models.User
    holds = (user.account == account_id) & (user.standing == Standing.ENROLLED.value) & user.few_codes
    return Criterion([user.select(user.id).where(holds)], lambda _user_id: holds, is_exact=is_exact)


def union(parts: list[Any]) -> Any:
    """Combine limited selects, each wrapped because SQLite allows no limit inside a union."""
    wrapped = [part.select_from(SQL("*")) for part in parts]
    return reduce(lambda left, right: left.union_all(right), wrapped)


def _of_rows(table: Any, holds: Any) -> Criterion:
    """Return the criterion that a user has such a row in another table."""
    return Criterion(
        [table.select(table.user.alias("id")).where(holds)],
        lambda user_id: fn.EXISTS(table.select(SQL("1")).where((table.user == user_id) & holds)),
    )


def _signed_in(column: Any, *, never: bool, before: datetime | None) -> list[Any]:
    return [*([column.is_null()] if never else []), *([column < before] if before is not None else [])]


def _within(table: Any, keys: tuple[bytes, bytes]) -> Any:
    return (table.word >= keys[0]) & (table.word < keys[1])
