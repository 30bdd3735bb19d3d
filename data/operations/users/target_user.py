"""Finding the user whom an administrator acts on, and whether they may."""

from dataclasses import dataclass
from typing import overload

from data.operations.actors import (
    Acting,
    Actor,
    authorise,
    roles_of,
)
from data.operations.results import Denied, Refused, RefusedOrStale
from data.operations.users.user_summaries import find_user
from data.rules.domain_types import Role
from data.rules.permissions import Action, SensitiveAction, outranks
from data.storage import models
from data.store import Tx


@dataclass(frozen=True, slots=True)
class Target:
    """An administrator and the user they act on."""

    acting: Acting
    user: models.User
    roles: frozenset[Role]


@overload
def find_target(tx: Tx, actor: Actor, name: str, action: Action) -> Target | Refused: ...
@overload
def find_target(
    tx: Tx, actor: Actor, name: str, action: Action | SensitiveAction
) -> Target | RefusedOrStale: ...
def find_target(tx: Tx, actor: Actor, name: str, action: Action | SensitiveAction) -> Target | RefusedOrStale:
    """Find a user of the actor's account, for an action that the actor's roles permit."""
    acting = authorise(tx, actor, action)
    if not isinstance(acting, Acting):
        return acting
    user = find_user(acting, name)
    return user if isinstance(user, Denied) else Target(acting, user, roles_of(user))


def find_to_reset(tx: Tx, actor: Actor, name: str, action: SensitiveAction) -> Target | RefusedOrStale:
    """Find a user whose password, keys or factors an administrator wants to change.

    Nobody resets someone who holds a role they lack.
    """
    found = find_target(tx, actor, name, action)
    if not isinstance(found, Target):
        return found
    return outranked_by(found) or found


def outranked_by(found: Target) -> Denied | None:
    """Refuse to reset someone who holds a role that the actor lacks."""
    if found.acting.is_operator or outranks(found.acting.roles, found.roles):
        return None
    lacking = ", ".join(role.label for role in sorted(found.roles - found.acting.roles))
    return Denied(
        f"{found.user.name} holds a role that you lack ({lacking}). Someone who holds it can do this."
    )
