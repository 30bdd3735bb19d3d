"""The principals that certificates of users bear now."""

from collections import defaultdict
from collections.abc import Collection

from data.rules.principals import Given, effective
from data.storage import models
from data.store import Tx


def principals_of(tx: Tx, user: models.User) -> frozenset[str]:
    """Return the principals of a user; there may be none."""
    return principals_of_all(tx, [user])[user.id]


def principals_of_all(tx: Tx, users: Collection[models.User]) -> dict[int, frozenset[str]]:
    """Return the principals of each of these users, by ID, with two statements for all."""
    own, shared = models.UserPrincipal, models.PracticePrincipal
    of_user, of_practice = defaultdict[int, list[Given]](list), defaultdict[int, list[Given]](list)
    for row in own.select().where(own.user.in_([user.id for user in users])):
        of_user[row.user_id].append(Given(row.principal, row.by_operator))
    for common in shared.select().where(shared.practice.in_({user.practice_id for user in users})):
        of_practice[common.practice_id].append(Given(common.principal, common.by_operator))
    reserved = tx.services.reserved_principals
    return {
        user.id: effective(user.name, (*of_user[user.id], *of_practice[user.practice_id]), reserved)
        for user in users
    }
