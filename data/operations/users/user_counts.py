"""How many users have each standing, as triggers keep it: reading costs the same however many there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peewee import fn

from data.rules.deadline import Demand
from data.rules.domain_types import Role
from data.rules.user_status import Counts, Standing
from data.storage import models


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """How many users of an account there are, and of those who hold each role, by standing.

    `few_codes` are those of the enrolled who have few recovery codes left.
    """

    users: Counts
    roles: Mapping[Role, Counts]
    few_codes: int


def count_users(account_id: int, demand: Demand) -> AccountCounts:
    """Read how many users an account has, and how many of them the days of grace of a demand spare."""
    table = models.UserCount
    found = table.select().where((table.account_id == account_id) & (table.practice_id == 0))
    rows: dict[str, models.UserCount] = {row.role: row for row in found}
    everyone = rows.get("")
    return AccountCounts(
        _by_standing(everyone, _spared(account_id, demand, [0]).get(0, 0)),
        {role: _by_standing(rows.get(role.value)) for role in Role},
        everyone.few_codes if everyone else 0,
    )


def count_in_largest_practices(account_id: int, most: int, demand: Demand) -> list[tuple[str, Counts]]:
    """Read how many users the practices with the most people have, but for deactivated people."""
    table, practice = models.UserCount, models.Practice
    of_practices = (table.account_id == account_id) & (table.role == "") & (table.practice_id > 0)
    largest: Any = (
        table.select(table, practice.name)
        .join(practice, on=(practice.id == table.practice_id), attr="practice")
        .where(of_practices & (table.people > 0))
        .order_by(table.people.desc())
        .limit(most)
    )
    spared = _spared(account_id, demand, [row.practice_id for row in largest])
    return [(row.practice.name, _by_standing(row, spared.get(row.practice_id, 0))) for row in largest]


def _by_standing(row: models.UserCount | None, spared: int = 0) -> Counts:
    return Counts({standing: getattr(row, standing.value, 0) for standing in Standing}, spared)


def _spared(account_id: int, demand: Demand, practice_ids: list[int]) -> dict[int, int]:
    """Read how many users days of grace spare: no more rows than such days have hours in each practice."""
    if demand.grace_after is None:
        return {}
    table = models.GraceCount
    spared: Any = (
        table.select(table.practice_id, fn.SUM(table.free))
        .where(
            (table.account_id == account_id)
            & table.practice_id.in_(practice_ids)
            & (table.grace_from > demand.grace_after)
        )
        .group_by(table.practice_id)
    )
    return {int(practice): int(count) for practice, count in spared.tuples()}
