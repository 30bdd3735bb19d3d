"""The standing that is stored of each user says the same as the rules."""

from itertools import product

import pytest
from support.database import OPERATOR, START, World

from data.operations.users import user_summaries
from data.operations.users.user_search import UserQuery
from data.rules.deadline import demand_of
from data.rules.domain_types import Method, Mode, Policy, Role, Status, UserFacts
from data.rules.policy import status
from data.rules.user_status import Standing, status_of
from data.storage import models

ROLE_SETS = [(), (Role.SUPPORT,), (Role.SYSTEM_ADMIN,), (Role.SECURITY_ADMIN,), tuple(Role)]


def everyone(world: World) -> dict[str, UserFacts]:
    """Put one user of each kind into the database."""
    account = models.Account.get()
    practice = models.Practice.get()
    facts_by_name = {}
    kinds = product(*[(True, False)] * 5, ROLE_SETS)
    for number, (active, locked, required, enrolled, lost, roles) in enumerate(kinds):
        user = models.User.create(
            account=account,
            practice=practice,
            name=f"u{number}",
            email=f"u{number}@clinic.example",
            active=active,
            locked_at=START if locked else None,
            required=required,
            lost_factor=lost,
            attempts_left=7,
            created_at=START,
        )
        for role in roles:
            models.UserRole.create(user=user, role=role.value)
        if enrolled:
            models.Factor.create(user=user, kind="app", sealed_secret=b"", last_step=0, confirmed_at=START)
        facts_by_name[user.name] = UserFacts(
            active, locked, False, required, (Method.APP,) if enrolled else (), frozenset(roles), lost
        )
    world.catch_up()
    return facts_by_name


@pytest.mark.feature("off-in-table")
@pytest.mark.parametrize("mode", Mode)
def test_column_equals_the_rule(world, mode):
    facts = everyone(world)
    stored = models.User.select(models.User.name, models.User.standing).where(models.User.name != "admin")
    shown = {
        name: status_of(demand_of(Policy(mode), START), Standing(standing))
        for name, standing in stored.tuples()
    }
    assert shown == {name: status(Policy(mode), known, START) for name, known in facts.items()}


@pytest.mark.parametrize("mode", Mode)
def test_filtering_by_status(world, mode):
    everyone(world)
    world.mode(mode)
    shown = world.run(user_summaries.list_users, OPERATOR, UserQuery(limit=500)).rows
    for wanted in Status:
        page = world.run(user_summaries.list_users, OPERATOR, UserQuery(status=wanted, limit=500))
        assert [row.name for row in page.rows] == [row.name for row in shown if row.status is wanted]
        assert page.total == len(page.rows)
