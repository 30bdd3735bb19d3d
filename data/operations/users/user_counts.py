"""How many users have each standing, as triggers keep it: reading costs the same however many there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data.rules.domain_types import Role
from data.rules.user_status import Standing
from data.storage import models

Counts = Mapping[Standing, int]


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """How many users of an account there are, and of those who hold each role, by standing.

    `few_codes` are those of the enrolled who have few recovery codes left.
    """

    users: Counts
    roles: Mapping[Role, Counts]
    few_codes: int


def count_users(account_id: int) -> AccountCounts:
    """Read how many users an account has."""
    table = models.UserCount
    found = table.select().where((table.account_id == account_id) & (table.practice_id == 0))
    rows: dict[str, models.UserCount] = {row.role: row for row in found}
    everyone = rows.get("")
    return AccountCounts(
        _by_standing(everyone),
        {role: _by_standing(rows.get(role.value)) for role in Role},
        everyone.few_codes if everyone else 0,
    )


def count_in_largest_practices(account_id: int, most: int) -> list[tuple[str, Counts]]:
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
    return [(row.practice.name, _by_standing(row)) for row in largest]


def _by_standing(row: models.UserCount | None) -> Counts:
    return {standing: getattr(row, standing.value, 0) for standing in Standing}
