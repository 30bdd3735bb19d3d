"""The principals that new certificates of users include."""

from collections import defaultdict
from collections.abc import Collection

from data.rules.principals import Given, effective
from data.storage import models
from data.store import Tx


def principals_of(tx: Tx, user: models.User) -> frozenset[str]:
    """Return the principals of a user; there may be none."""
    return principals_of_all(tx, [user])[user.id]


def principals_of_all(
    tx: Tx,
    users: Collection[models.User],
    without: models.UserPrincipal | models.PracticePrincipal | None = None,
) -> dict[int, frozenset[str]]:
    """Return the principals of each of these users, by ID, with two statements for all.

    One that was given can be left out, as if it were removed.
    """
    own, shared = models.UserPrincipal, models.PracticePrincipal
    of_users = own.select().where(own.user.in_([user.id for user in users]))
    of_practices = shared.select().where(shared.practice.in_({user.practice_id for user in users}))
    given = defaultdict[int, list[Given]](list)
    for row in of_users:
        if row != without:
            given[row.user_id].append(Given(row.principal, row.by_operator))
    given_there = defaultdict[int, list[Given]](list)
    for common in of_practices:
        if common != without:
            given_there[common.practice_id].append(Given(common.principal, common.by_operator))
    reserved = tx.services.reserved_principals
    return {
        user.id: effective(user.name, (*given[user.id], *given_there[user.practice_id]), reserved)
        for user in users
    }
