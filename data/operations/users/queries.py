"""Conditions on users in a query: who holds a role or has a factor; and how the found users are named."""

from typing import Any

from peewee import fn

from data.rules.domain_types import Method, Role
from data.rules.permanent_mode import NAMED, People
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


def people_in(query: Any) -> People:
    """Count the users of a query and name the first of them."""
    names = tuple(row.name for row in query.order_by(models.User.name).limit(NAMED))
    return People(query.count(), names)
