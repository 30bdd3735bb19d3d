"""The users that a table shows, found through indexes at a cost that does not grow with the account.

Without a search, the rows of each standing are read in the wanted order from the start of the page.
A search begins with its rarest word, or with the filter if that is rarer. It reads a limited number of
entries, keeps a limited number of matches, and says if that is not all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import and_, or_
from typing import Any

from peewee import JOIN, SQL, Join, Value, fn

from data.operations.actors import Acting
from data.rules.domain_types import Method, Role, Status
from data.rules.user_fields import storable
from data.rules.user_search import terms, word_range
from data.rules.user_status import Standing, standings
from data.storage import models

PAGE = 50
"""Rows that one page of a table holds."""
COUNTED = 10_000
"""Rows of a table that are counted; beyond this, the table only says that there are more."""
FOUND = 1_000
"""The most users that a search finds."""
_WEIGHED = 10_000
"""Entries of each word that are counted, to begin with the rarest."""
_LOOKED_UP = 2_000
"""How often a search looks up whether a user found by its rarest word also meets another criterion."""


class SortKey(StrEnum):
    """The column that the users table is sorted by; the latest sign-in comes first."""

    NAME = "name"
    EMAIL = "e-mail"
    LAST_SIGNIN = "last sign-in"


Cursor = tuple[str, int]
"""The sort key and the ID of the row after which a page begins."""


@dataclass(frozen=True, slots=True)
class UserQuery:
    """A query of the users table; `after` is the `cursor` of the last row on the previous page.

    Each word of `search` is the beginning of a word in a name, an address, a phone number or the name of
    a practice; `practice` is a practice's full name. Whoever is shown meets all criteria. Only the two
    about the last sign-in are one: who never signed in, or last did so before `signed_in_before`.

    `method` is one that users have set up, even if it is switched off. `pending_before` asks for those
    whose status has been pending since before then, and `few_recovery_codes` for those with a second
    factor who have two recovery codes or fewer.
    """

    search: str = ""
    status: Status | None = None
    sort: SortKey = SortKey.NAME
    after: Cursor | None = None
    limit: int = PAGE
    practice: str | None = None
    role: Role | None = None
    method: Method | None = None
    never_signed_in: bool = False
    signed_in_before: datetime | None = None
    pending_before: datetime | None = None
    few_recovery_codes: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The users of one page, in order; `total` counts all, unless `uncounted` says that there are more."""

    ids: list[int]
    more: bool
    total: int
    uncounted: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its filters resolved."""

    query: UserQuery
    account_id: int
    practice_id: int | None
    standings: list[Standing]

    @property
    def scope(self) -> Any:
        """The account whose users are read."""
        if self.practice_id is not None:
            return models.User.practice == self.practice_id
        return models.User.account == self.account_id

    @property
    def stand_so(self) -> Any:
        """The filter by status."""
        return models.User.standing.in_([standing.value for standing in self.standings])


def find_users(acting: Acting, query: UserQuery) -> Found:
    """Find the users of one page."""
    practice_id = None
    if query.practice is not None:
        table = models.Practice
        named = table.get_or_none(
            (table.account == acting.account_id) & (table.name == storable(query.practice))
        )
        practice_id = named.id if named is not None else 0
    asked = _Asked(query, acting.account_id, practice_id, standings(acting.policy.mode, query.status))
    if not asked.standings or practice_id == 0:
        return Found([], more=False, total=0, uncounted=False)
    wanted = terms(query.search)
    return _search(asked, wanted) if wanted else _browse(asked)


def count_standings(account_id: int) -> dict[Standing, int]:
    """Count all users of an account by standing."""
    table = models.User
    counted = table.select(table.standing, fn.COUNT(table.id)).where(table.account == account_id)
    rows: Iterable[tuple[str, int]] = counted.group_by(table.standing).tuples().iterator()
    return {Standing(standing): count for standing, count in rows}


def _browse(asked: _Asked) -> Found:
    """Read a page from the index that holds each standing in the wanted order, and merge them."""
    query, user = asked.query, models.User
    parts = [part for standing in asked.standings for part in _parts(asked, standing)]
    rows = _union(parts).alias("rows")
    page = rows.select_from(rows.c.id).order_by(*_order(query.sort, rows.c)).limit(query.limit + 1)
    ids = [row_id for (row_id,) in page.tuples()]
    count = user.select(user.id).where(asked.scope & asked.stand_so).limit(COUNTED + 1).count()
    return Found(
        ids[: query.limit],
        more=len(ids) > query.limit,
        total=min(count, COUNTED),
        uncounted=count > COUNTED,
    )


def _parts(asked: _Asked, standing: Standing) -> list[Any]:
    """Select the rows of one standing for a page."""
    query = asked.query
    if query.sort is SortKey.LAST_SIGNIN:
        return _parts_by_signin(asked, standing)
    column = _column(query.sort)
    rows = asked.scope & (models.User.standing == standing.value)
    if query.after is not None:
        rows &= column > query.after[0]
    return [_keyed(query.sort).where(rows).order_by(column).limit(query.limit + 1)]


def _parts_by_signin(asked: _Asked, standing: Standing) -> list[Any]:
    """Select the rows of one standing for a page by last sign-in; those without a sign-in come last."""
    query, table = asked.query, models.LastSignin
    if asked.practice_id is not None:
        scope = table.practice_id == asked.practice_id
    else:
        scope = table.account_id == asked.account_id
    rows = scope & (table.standing == standing.value)
    keyed = table.select(table.user.alias("id"), fn.COALESCE(table.at, 0).alias("key"))
    signed_in, never = rows & table.at.is_null(False), rows & table.at.is_null()
    if query.after is not None:
        at, row_id = models.moment(int(query.after[0])), query.after[1]
        if not int(query.after[0]):
            part = keyed.where(never & (table.user < row_id))
            return [part.order_by(table.user.desc()).limit(query.limit + 1)]
        signed_in &= (table.at <= at) & ((table.at < at) | (table.user < row_id))
    return [
        keyed.where(signed_in).order_by(table.at.desc(), table.user.desc()).limit(query.limit + 1),
        keyed.where(never).order_by(table.user.desc()).limit(query.limit + 1),
    ]


def _search(asked: _Asked, wanted: list[tuple[str, ...]]) -> Found:
    """Find the users who meet all criteria, beginning with the criterion that the fewest meet."""
    query, user = asked.query, models.User
    criteria = [_of_term(asked.account_id, term) for term in wanted]
    if query.status is not None or query.practice is not None:
        criteria.append(_of_filter(asked))
    weighed = _WEIGHED if len(criteria) > 1 else _LOOKED_UP + 1
    sizes = [criterion.ids(weighed).limit(weighed).count() for criterion in criteria]
    rarest = criteria[sizes.index(min(sizes))]
    rest = [criterion for criterion in criteria if criterion is not rarest]
    examined = _LOOKED_UP // max(1, sum(len(criterion.ways) for criterion in rest))
    looked_at = rarest.ids(examined + 1).alias("looked_at")
    conditions = [criterion.holds(looked_at.c.id) for criterion in rest]
    # A cross join is read from the left on every database: never all users for a few entries.
    hits = (
        _keyed(query.sort)
        .from_(Join(looked_at, user, JOIN.CROSS))
        .where(reduce(and_, conditions, user.id == looked_at.c.id))
        .distinct()
        .limit(FOUND + 1)
        .alias("hits")
    )
    rows = list(
        hits.select_from(hits.c.id, _is_after(query, hits.c)).order_by(*_order(query.sort, hits.c)).tuples()
    )
    ids = [row_id for row_id, after in rows[:FOUND] if after]
    return Found(
        ids[: query.limit],
        more=len(ids) > query.limit,
        total=min(len(rows), FOUND),
        uncounted=len(rows) > FOUND or min(sizes) > examined,
    )


@dataclass(frozen=True, slots=True)
class _Criterion:
    """A part of a search: selects of the IDs of users who meet it, and whether the user with an ID does."""

    ways: list[Any]
    holds: Callable[[Any], Any]

    def ids(self, most: int) -> Any:
        """Select this many of the users who meet it, some of them twice."""
        return _union([way.limit(most) for way in self.ways])


def _of_term(account_id: int, term: tuple[str, ...]) -> _Criterion:
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
        return _Criterion(ways, has_word)
    within = user.practice.in_(practices)
    return _Criterion([*ways, user.select(user.id).where(within)], lambda user_id: has_word(user_id) | within)


def _of_filter(asked: _Asked) -> _Criterion:
    user, holds = models.User, asked.scope & asked.stand_so
    return _Criterion([user.select(user.id).where(holds)], lambda _user_id: holds)


def _within(table: Any, keys: tuple[bytes, bytes]) -> Any:
    return (table.word >= keys[0]) & (table.word < keys[1])


def _union(parts: list[Any]) -> Any:
    """Combine limited selects, each wrapped because SQLite allows no limit inside a union."""
    wrapped = [part.select_from(SQL("*")) for part in parts]
    return reduce(lambda left, right: left.union_all(right), wrapped)


def _column(sort: SortKey) -> Any:
    return models.User.email if sort is SortKey.EMAIL else models.User.name


def _keyed(sort: SortKey) -> Any:
    """Select users by ID, with their sort key as `key`."""
    user = models.User
    key = fn.COALESCE(user.last_signin_at, 0) if sort is SortKey.LAST_SIGNIN else _column(sort)
    return user.select(user.id, key.alias("key"))


def _order(sort: SortKey, columns: Any) -> tuple[Any, ...]:
    return (columns.key.desc(), columns.id.desc()) if sort is SortKey.LAST_SIGNIN else (columns.key,)


def _is_after(query: UserQuery, columns: Any) -> Any:
    """Return whether a row comes after the cursor."""
    if query.after is None:
        return Value(1)
    key, row_id = query.after
    if query.sort is SortKey.LAST_SIGNIN:
        return (columns.key < int(key)) | ((columns.key == int(key)) & (columns.id < row_id))
    return columns.key > key
