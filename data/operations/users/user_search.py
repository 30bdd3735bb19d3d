"""The users that a table shows, found through indexes at a cost that does not grow with the account.

Without a search, the rows of each standing are read in the wanted order from the start of the page.
A search begins with its rarest word, or with a filter if that is rarer. It reads a limited number of
entries, keeps a limited number of matches, and says if that is not all. If none is rare, and the first users
in the wanted order fill a page with matches, all of its pages are read in that order. Filters alone keep all
matches: the candidates for a page are those who meet the rarest one or, if that is not rare, all in the
wanted order. If too many of them would have to be looked up for one page, the page is not full, and the next
one goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from operator import and_
from typing import Any

from peewee import JOIN, SQL, Join, Value, fn

from data.operations.actors import Acting
from data.operations.users.user_criteria import (
    Criterion,
    Scope,
    of_few_codes,
    of_grace,
    of_last_signin,
    of_method,
    of_role,
    of_term,
    of_time_pending,
    union,
)
from data.rules.deadline import Demand, demand_of
from data.rules.domain_types import Method, Role, Status
from data.rules.user_fields import storable
from data.rules.user_search import terms
from data.rules.user_status import Standing, is_split, standings
from data.storage import models

PAGE = 50
"""Rows that one page of a table holds."""
COUNTED = 10_000
"""Rows of a table that are counted; beyond this, the table only says that there are more."""
FOUND = 1_000
"""The most users that a search finds."""
_WEIGHED = 10_000
"""Entries of each criterion that are counted, to begin with the rarest."""
_LOOKED_UP = 2_000
"""How often a page looks up whether a user found by the rarest criterion also meets another one."""
_WEIGHED_WORDS = 6_000
_SEARCHED = 1_000
"""The same two of a search with several criteria: a look-up costs more the more users there are."""
_TRIED = 60
"""First users in the wanted order who are tried; a quarter of them must meet all criteria of a search, or it
does not go through all in that order."""
_IN_ORDER = 300
"""Users whom such a search looks up for one page."""


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
    """The users of one page, in order; `following` is where the next page starts, if there is one.

    `total` counts all, unless `uncounted` says that there may be more.
    """

    ids: list[int]
    following: Cursor | None
    total: int
    uncounted: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with its filters resolved."""

    query: UserQuery
    scope: Scope
    demand: Demand

    @property
    def filters(self) -> list[Criterion]:
        """The criteria that are no words, without the practice and the status."""
        return list(self._filters())

    def _filters(self) -> Iterator[Criterion]:
        query, account_id = self.query, self.scope.account_id
        if query.status is not None and is_split(self.demand, query.status):
            yield of_grace(self.scope, self.demand, query.status)
        if query.role is not None:
            yield of_role(query.role)
        if query.method is not None:
            yield of_method(query.method)
        never, before = query.never_signed_in, query.signed_in_before
        if never or before is not None:
            yield of_last_signin(self.scope, never=never, before=before)
        if query.pending_before is not None:
            whole = self.scope.practice_id is None and query.status in {None, Status.PENDING}
            yield of_time_pending(account_id, query.pending_before, is_exact=whole)
        if query.few_recovery_codes:
            whole = self.scope.practice_id is None and query.status in {None, Status.ENABLED}
            yield of_few_codes(account_id, is_exact=whole)


def find_users(acting: Acting, query: UserQuery) -> Found:
    """Find the users of one page."""
    practice_id = None
    if query.practice is not None:
        table = models.Practice
        named = table.get_or_none(
            (table.account == acting.account_id) & (table.name == storable(query.practice))
        )
        practice_id = named.id if named is not None else 0
    demand = demand_of(acting.policy, acting.tx.now)
    asked = _Asked(query, Scope(acting.account_id, practice_id, standings(demand, query.status)), demand)
    if not asked.scope.standings or practice_id == 0:
        return Found([], None, total=0, uncounted=False)
    wanted = terms(query.search)
    if wanted:
        return _search(asked, wanted)
    return _filter(asked, asked.filters) if asked.filters else _browse(asked)


def _browse(asked: _Asked) -> Found:
    """Read a page of all in the wanted order."""
    limit = asked.query.limit
    rows = _in_order(asked, limit + 1).alias("rows")
    page = rows.select_from(rows.c.id, rows.c.key).order_by(*_order(asked.query.sort, rows.c))
    count = asked.scope.criterion().ids(COUNTED + 1).count()
    ids, following = _page(list(page.tuples()), limit)
    return Found(ids, following, total=min(count, COUNTED), uncounted=count > COUNTED)


def _in_order(asked: _Asked, most: int) -> Any:
    """Select so many rows after the cursor from the index that holds each standing in order, merged."""
    parts = [part for standing in asked.scope.standings for part in _parts(asked, standing, most)]
    rows = union(parts).alias("merged")
    return rows.select_from(rows.c.id, rows.c.key).order_by(*_order(asked.query.sort, rows.c)).limit(most)


def _parts(asked: _Asked, standing: Standing, most: int) -> list[Any]:
    """Select the rows of one standing for a page."""
    query = asked.query
    if query.sort is SortKey.LAST_SIGNIN:
        return _parts_by_signin(asked, standing, most)
    column = _column(query.sort)
    rows = asked.scope.of(models.User) & (models.User.standing == standing.value)
    if query.after is not None:
        rows &= column > query.after[0]
    return [_keyed(query.sort).where(rows).order_by(column).limit(most)]


def _parts_by_signin(asked: _Asked, standing: Standing, most: int) -> list[Any]:
    """Select the rows of one standing for a page by last sign-in; those without a sign-in come last."""
    query, table = asked.query, models.LastSignin
    rows = asked.scope.of(table) & (table.standing == standing.value)
    keyed = table.select(table.user.alias("id"), fn.COALESCE(table.at, 0).alias("key"))
    signed_in, never = rows & table.at.is_null(False), rows & table.at.is_null()
    wants_signed_in = query.signed_in_before is not None or not query.never_signed_in
    wants_never = query.never_signed_in or query.signed_in_before is None
    if query.signed_in_before is not None:
        signed_in &= table.at < query.signed_in_before
    if query.after is not None:
        at, row_id = models.moment(int(query.after[0])), query.after[1]
        if int(query.after[0]):
            signed_in &= (table.at <= at) & ((table.at < at) | (table.user < row_id))
        else:
            wants_signed_in = False
            never &= table.user < row_id
    return [
        *(
            [keyed.where(signed_in).order_by(table.at.desc(), table.user.desc()).limit(most)]
            if wants_signed_in
            else []
        ),
        *([keyed.where(never).order_by(table.user.desc()).limit(most)] if wants_never else []),
    ]


def _filter(asked: _Asked, filters: list[Criterion]) -> Found:
    """Read a page of those who meet all filters, in the wanted order."""
    query, everyone = asked.query, asked.scope.criterion()
    sizes = {
        criterion: criterion.ids(_WEIGHED + 1).limit(_WEIGHED + 1).count()
        for criterion in (everyone, *filters)
    }
    rarest = min(sizes, key=lambda criterion: sizes[criterion])
    is_rare = sizes[rarest] <= _WEIGHED
    rest = [criterion for criterion in filters if criterion is not rarest]
    most = max(query.limit, _LOOKED_UP // max(1, sum(criterion.lookups for criterion in rest)))
    is_whole = is_rare and sizes[rarest] <= most
    if not rest and not is_whole:
        most = query.limit + 1
    begun = replace(asked, query=replace(query, after=None)) if is_whole else asked
    if rarest is everyone or not is_rare:
        candidates = _in_order(begun, most).alias("candidates")
    else:
        candidates = _sorted(begun, rarest, most).alias("candidates")
    rows = _tested(query, candidates, rest)
    matches = [(row_id, key, after) for row_id, key, after, holds in rows if holds]
    ids, following = _page([(row_id, key) for row_id, key, after in matches if after], query.limit)
    if following is None and not is_whole and len(rows) == most:
        following = _cursor(rows[-1])
    if is_whole or (query.after is None and following is None):
        return Found(ids, following, total=len(matches), uncounted=False)
    if len(filters) == 1 and filters[0].is_exact:
        size = sizes[filters[0]]
        return Found(ids, following, total=min(size, _WEIGHED), uncounted=size > _WEIGHED)
    return Found(ids, following, total=len(ids), uncounted=True)


def _tested(query: UserQuery, candidates: Any, criteria: list[Criterion]) -> list[Any]:
    """Read candidates in the wanted order: ID, key, whether after the cursor, and whether all is met."""
    of, user = candidates.c, models.User
    meets = reduce(and_, [criterion.holds(of.id) for criterion in criteria], SQL("1 = 1"))
    looked_up = (
        candidates.select_from(of.id, of.key, _is_after(query, of.key, of.id), meets)
        .from_(Join(candidates, user, JOIN.CROSS))
        .where(user.id == of.id)
        .order_by(*_order(query.sort, of))
    )
    return list(looked_up.tuples())


def _sorted(asked: _Asked, criterion: Criterion, most: int) -> Any:
    """Select so many rows after the cursor in the wanted order from the few who meet a criterion."""
    query, user = asked.query, models.User
    few = criterion.ids(_WEIGHED).alias("few")
    keyed = _keyed(query.sort).from_(Join(few, user, JOIN.CROSS))
    rows = keyed.where((user.id == few.c.id) & asked.scope.criterion().holds(few.c.id)).alias("rows")
    after = rows.select_from(rows.c.id, rows.c.key)
    if query.after is not None:
        after = after.where(_is_after(query, rows.c.key, rows.c.id))
    return after.order_by(*_order(query.sort, rows.c)).limit(most)


def _search(asked: _Asked, wanted: list[tuple[str, ...]]) -> Found:
    """Find the users who meet all criteria, beginning with the criterion that the fewest meet."""
    query, user, filters = asked.query, models.User, asked.filters
    met = criteria = [of_term(asked.scope.account_id, term) for term in wanted] + filters
    if filters or query.status is not None or query.practice is not None:
        criteria = [*met, asked.scope.criterion()]
    several = len(criteria) > 1
    weighed = (_WEIGHED_WORDS if several else _LOOKED_UP) + 1
    sizes = [criterion.ids(weighed).limit(weighed).count() for criterion in criteria]
    rarest = criteria[sizes.index(min(sizes))]
    rest = [criterion for criterion in criteria if criterion is not rarest]
    examined = _SEARCHED // sum(criterion.lookups for criterion in rest) if several else _LOOKED_UP
    if several and min(sizes) > examined and _are_common(asked, met):
        return _in_order_of_all(asked, met)
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
    of = hits.c
    rows = list(
        hits.select_from(of.id, of.key, _is_after(query, of.key, of.id))
        .order_by(*_order(query.sort, of))
        .tuples()
    )
    ids, following = _page([(row_id, key) for row_id, key, after in rows[:FOUND] if after], query.limit)
    return Found(
        ids,
        following,
        total=min(len(rows), FOUND),
        uncounted=len(rows) > FOUND or min(sizes) > examined,
    )


def _are_common(asked: _Asked, criteria: list[Criterion]) -> bool:
    """Return whether many of the first users in the wanted order meet all criteria."""
    begun = replace(asked, query=replace(asked.query, after=None))
    tried = _tested(begun.query, _in_order(begun, _TRIED).alias("candidates"), criteria)
    return 4 * sum(bool(holds) for *_, holds in tried) >= _TRIED


def _in_order_of_all(asked: _Asked, criteria: list[Criterion]) -> Found:
    """Read a page of a search in the wanted order; it may not be full, and then the next one goes on."""
    most = max(_IN_ORDER, asked.query.limit + 1)
    rows = _tested(asked.query, _in_order(asked, most).alias("candidates"), criteria)
    ids, following = _page([(row_id, key) for row_id, key, _, holds in rows if holds], asked.query.limit)
    if following is None and len(rows) == most:
        following = _cursor(rows[-1])
    return Found(ids, following, total=len(ids), uncounted=True)


def _page(rows: list[tuple[int, str | int]], limit: int) -> tuple[list[int], Cursor | None]:
    """Return the IDs of a page and where the next one starts, from the rows that begin with it."""
    return [row_id for row_id, _ in rows[:limit]], _cursor(rows[limit - 1]) if len(rows) > limit else None


def _cursor(row: tuple[int, str | int, *tuple[object, ...]]) -> Cursor:
    return str(row[1]), row[0]


def _column(sort: SortKey) -> Any:
    return models.User.email if sort is SortKey.EMAIL else models.User.name


def _keyed(sort: SortKey) -> Any:
    """Select users by ID, with their sort key as `key`."""
    user = models.User
    key = fn.COALESCE(user.last_signin_at, 0) if sort is SortKey.LAST_SIGNIN else _column(sort)
    return user.select(user.id, key.alias("key"))


def _order(sort: SortKey, columns: Any) -> tuple[Any, ...]:
    return (columns.key.desc(), columns.id.desc()) if sort is SortKey.LAST_SIGNIN else (columns.key,)


def _is_after(query: UserQuery, key: Any, row_id: Any) -> Any:
    """Return whether a row comes after the cursor."""
    if query.after is None:
        return Value(1)
    last, last_id = query.after
    if query.sort is SortKey.LAST_SIGNIN:
        return (key < int(last)) | ((key == int(last)) & (row_id < last_id))
    return key > last
