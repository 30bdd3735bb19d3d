"""Finding the user whom an administrator acts on, and checking that they may."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, overload

from data.operations.actors import Acting, Actor, roles_of
from data.operations.guards import KEPT, Body, P, R, authorise
from data.operations.results import Denied, Refused, RefusedOrStale
from data.rules.domain_types import Role
from data.rules.permissions import Action, SensitiveAction, outranks
from data.rules.user_fields import fold_username
from data.storage import models
from data.store import Tx

OnUser = Callable[Concatenate[Tx, Actor, str, P], R]
"""An operation as it is called: with the name of the target user."""


@dataclass(frozen=True, slots=True)
class Target:
    """An administrator and the user they act on."""

    acting: Acting
    user: models.User
    roles: frozenset[Role]

    @property
    def tx(self) -> Tx:
        """The transaction in which the act happens."""
        return self.acting.tx

    @property
    def is_oneself(self) -> bool:
        """Whether the administrator is that user."""
        return self.acting.user is not None and self.acting.user.id == self.user.id


@overload
def require_target(action: Action) -> Callable[[Body[Target, P, R]], OnUser[P, R | Refused]]: ...
@overload
def require_target(
    action: SensitiveAction, *, resets: bool = False
) -> Callable[[Body[Target, P, R]], OnUser[P, R | RefusedOrStale]]: ...
def require_target(
    action: Action | SensitiveAction, *, resets: bool = False
) -> Callable[[Body[Target, P, R]], OnUser[P, R | RefusedOrStale]]:
    """Guard what an administrator does to a user of the account (see `find_target`).

    `resets` says that the user's password, keys or factors are changed.
    """

    def guard(body: Body[Target, P, R]) -> OnUser[P, R | RefusedOrStale]:
        @wraps(body, KEPT)
        def guarded(
            tx: Tx, actor: Actor, name: str, /, *args: P.args, **kwargs: P.kwargs
        ) -> R | RefusedOrStale:
            found = find_target(tx, actor, name, action, resets=resets)
            return body(found, *args, **kwargs) if isinstance(found, Target) else found

        return guarded

    return guard


@overload
def find_target(tx: Tx, actor: Actor, name: str, action: Action) -> Target | Refused: ...
@overload
def find_target(
    tx: Tx, actor: Actor, name: str, action: Action | SensitiveAction, *, resets: bool = False
) -> Target | RefusedOrStale: ...
def find_target(
    tx: Tx, actor: Actor, name: str, action: Action | SensitiveAction, *, resets: bool = False
) -> Target | RefusedOrStale:
    """Find a user of the actor's account, for an action that the actor's roles permit.

    No one may reset (`resets`) a user who holds a role that they lack.
    """
    acting = authorise(tx, actor, action)
    if not isinstance(acting, Acting):
        return acting
    user = find_user(acting, name)
    if isinstance(user, Denied):
        return user
    found = Target(acting, user, roles_of(user))
    return (outranked_by(found) if resets else None) or found


def find_user(acting: Acting, name: str) -> models.User | Denied:
    """Look up a user of the actor's own account by name."""
    folded = fold_username(name)
    user = models.User.get_or_none(
        (models.User.name == (folded or "")) & (models.User.account == acting.account_id)
    )
    return user if user is not None else Denied("The user was not found.")


def outranked_by(found: Target) -> Denied | None:
    """Refuse to reset someone who holds a role that the actor lacks."""
    if found.acting.is_operator or outranks(found.acting.roles, found.roles):
        return None
    lacking = ", ".join(role.label for role in sorted(found.roles - found.acting.roles))
    return Denied(
        f"{found.user.name} holds a role that you do not ({lacking}). Someone who holds it can do this."
    )
