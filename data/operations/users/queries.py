"""Conditions on users in a query: who holds a role or has a factor; and how the found users are named."""

from datetime import datetime
from typing import Any

from peewee import fn

from data.operations.actors import policy_of
from data.rules import user_status
from data.rules.deadline import Demand
from data.rules.domain_types import Method, Role, Status
from data.rules.permanent_mode import NAMED, People
from data.rules.user_status import Standing
from data.storage import models


def holds(*roles: Role) -> Any:
    """Return, as SQL, whether a user holds one of these roles."""
    table = models.UserRole
    held = (table.user == models.User.id) & table.role.in_([role.value for role in roles])
    return fn.EXISTS(table.select(1).where(held))


def has_factor(methods: frozenset[Method]) -> Any:
    """Return, as SQL, whether a user has a confirmed factor of one of these methods."""
    table = models.Factor
    kinds = [method.value for method in methods]
    return fn.EXISTS(table.select(1).where((table.user == models.User.id) & table.kind.in_(kinds)))


def standings_pending_since(account: models.Account, when: datetime) -> tuple[Demand, list[Standing]]:
    """Return the standings with which users of an account have been pending since before a moment.

    Of the free, days of grace that the demand of that moment spares are left out.
    """
    return user_status.pending_since_before(
        when, policy_of(account), on_since=account.on_since, required_since=account.required_since
    )


def shown_as(demand: Demand, status: Status) -> Any:
    """Return, as SQL, whether a user is shown with a status: the rule `status_of`.

    An index on the standing finds them, and one on the standing and `grace_from` those whom grace spares.
    """
    user = models.User
    found = user.standing.in_([standing.value for standing in user_status.standings(demand, status)])
    return found & is_in_part(demand, status) if user_status.is_split(demand, status) else found


def is_in_part(demand: Demand, status: Status) -> Any:
    """Return, as SQL, whether a user whose standing is shown in two ways is shown with this status."""
    user = models.User
    spared = user.grace_from > demand.grace_after
    return (user.standing != Standing.FREE.value) | (spared if status is Status.NO else ~spared)


def pending_since_before(account: models.Account, when: datetime) -> Any:
    """Return, as SQL, whether a user of an account has been pending since before a moment.

    An index on the standing and since when a user has it finds them.
    """
    user, (demand, found) = models.User, standings_pending_since(account, when)
    stand_so = user.standing.in_([standing.value for standing in found])
    if user_status.is_split(demand, Status.PENDING):
        stand_so &= is_in_part(demand, Status.PENDING)
    return (user.account == account.id) & stand_so & (user.standing_since < when)


def people_in(query: Any) -> People:
    """Count the users of a query and name the first of them."""
    names = tuple(row.name for row in query.order_by(models.User.name).limit(NAMED))
    return People(query.count(), names)
