"""Whether an administrator may do an act to a user now: the guards that refuse it, and what is offered.

`why_not_to` is the one place that decides, so what is offered and what is refused cannot differ.
"""

from collections.abc import Callable, Collection
from functools import wraps
from typing import Concatenate, overload

from data.operations.actors import Acting, Actor, roles_of
from data.operations.guards import KEPT, Body, P, R, authorise, why_not
from data.operations.results import Denied, Refused, RefusedOrStale
from data.operations.users.invitation_conditions import no_address, unavailable
from data.operations.users.target_user import ActContext, Target, find_user, outranked_by, why_not_reminded
from data.rules import invitations, public_keys
from data.rules.domain_types import ADMIN_ROLES, Role
from data.rules.permissions import Action, SensitiveAction, UserAct, action_to_grant
from data.rules.policy import NOT_AVAILABLE, may_set_up
from data.rules.user_status import Standing
from data.store import Tx

_SENTENCES = 2
"""How many hindrances are named at most: the first ones matter most."""
OnUser = Callable[Concatenate[Tx, Actor, str, P], R]
"""An operation as it is called: with the name of the target user."""


@overload
def require_target(act: Action) -> Callable[[Body[Target, P, R]], OnUser[P, R | Refused]]: ...
@overload
def require_target(act: UserAct) -> Callable[[Body[Target, P, R]], OnUser[P, R | RefusedOrStale]]: ...
def require_target(act: Action | UserAct) -> Callable[[Body[Target, P, R]], OnUser[P, R | RefusedOrStale]]:
    """Guard what an administrator does to a user of the account (see `find_target`)."""

    def guard(body: Body[Target, P, R]) -> OnUser[P, R | RefusedOrStale]:
        @wraps(body, KEPT)
        def guarded(
            tx: Tx, actor: Actor, name: str, /, *args: P.args, **kwargs: P.kwargs
        ) -> R | RefusedOrStale:
            found = find_target(tx, actor, name, act)
            return body(found, *args, **kwargs) if isinstance(found, Target) else found

        return guarded

    return guard


@overload
def find_target(tx: Tx, actor: Actor, name: str, act: Action) -> Target | Refused: ...
@overload
def find_target(tx: Tx, actor: Actor, name: str, act: UserAct) -> Target | RefusedOrStale: ...
def find_target(tx: Tx, actor: Actor, name: str, act: Action | UserAct) -> Target | RefusedOrStale:
    """Find a user of the actor's account to read, or for an act that the actor may do to them now."""
    acting = authorise(tx, actor, act.permission if isinstance(act, UserAct) else act)
    if not isinstance(acting, Acting):
        return acting
    user = find_user(acting, name)
    if isinstance(user, Denied):
        return user
    found = Target(acting, user, roles_of(user), ActContext(acting))
    return (why_not_to(act, found) if isinstance(act, UserAct) else None) or found


def acts_on(found: Target) -> frozenset[UserAct]:
    """Return what the actor may do to a user now, and would find something to do.

    A fresh proof may be asked for.
    """
    return frozenset(act for act in found.context.permitted if why_not_offered(act, found) is None)


def why_not_offered(act: UserAct, found: Target) -> Denied | None:
    """Return why an act is not offered to someone with the permission for it, or None."""
    if refusal := _hindered(act, found):
        return refusal
    is_pointless = act in _POINTLESS and _POINTLESS[act](found)
    return Denied(f"There is nothing to do for {found.user.name}.") if is_pointless else None


def why_not_to(act: UserAct, found: Target) -> Denied | None:
    """Return why the actor may not do an act to a user now, even with fresh proof; None if they may."""
    return why_not(found.acting, act.permission) or _hindered(act, found)


def _hindered(act: UserAct, found: Target) -> Denied | None:
    """Return why someone with the permission for an act may not do it to a user now, or None."""
    if act.resets and (refusal := outranked_by(found)):
        return refusal
    reason = _STATES[act](found) if act in _STATES else None
    return Denied(reason) if reason else None


def who_can(found: Target) -> str:
    """Return who can do what the actor may not do to a user, in words; empty if there is nothing to say."""
    acting = found.acting
    if found.user.locked_at is not None and (refusal := why_not(acting, UserAct.UNLOCK.permission)):
        return refusal.message
    refusals = (
        why_not(acting, Action.MANAGE_PEOPLE),
        why_not(acting, SensitiveAction.RESET_TWO_FACTOR),
        outranked_by(found),
        why_not_to(UserAct.ROLES, found),
    )
    said = dict.fromkeys(refusal.message for refusal in refusals if refusal)
    return " ".join(list(said)[:_SENTENCES])


def may_grant(acting: Acting, role: Role) -> Denied | None:
    """Refuse a role that the actor may neither grant nor remove."""
    return why_not(acting, action_to_grant(role))


def grantable(acting: Acting) -> frozenset[Role]:
    """Return the roles that the actor may grant and remove."""
    return frozenset(role for role in Role if may_grant(acting, role) is None)


def keeps_last_admins(found: Target, lost: Collection[Role]) -> Denied | None:
    """Refuse to lose the last active holder of an admin role."""
    if not found.user.active:
        return None
    for role in sorted(ADMIN_ROLES & found.roles & frozenset(lost)):
        if found.context.holders.get(role, 0) <= 1:
            return Denied(f"{found.user.name} is the last active {role.label}. Appoint another one first.")
    return None


def _last_admin(found: Target) -> str | None:
    refusal = keeps_last_admins(found, found.roles)
    return refusal.message if refusal else None


def _is_required(found: Target) -> str | None:
    name = found.user.name
    return f"Two-factor authentication is already required for {name}." if found.user.required else None


def _is_not_required(found: Target) -> str | None:
    name, required = found.user.name, found.user.required
    return None if required else f"Two-factor authentication is not required individually for {name}."


def _has_nothing(found: Target) -> bool:
    has = found.holdings
    return not (has.has_factor or has.recovery_codes or has.remembered)


def _is_not_locked(found: Target) -> str | None:
    return f"User {found.user.name} is not locked." if found.user.locked_at is None else None


def _own_password(found: Target) -> str | None:
    return "Change your own password on My profile." if found.is_oneself else None


def _no_temporary_code(found: Target) -> str | None:
    name = found.user.name
    reasons = (
        (
            found.is_oneself,
            "You cannot make a temporary code for yourself. Another system administrator can.",
        ),
        (not may_set_up(found.acting.policy), NOT_AVAILABLE),
        (not found.user.active, f"{name} is deactivated. Activate them first."),
        (found.user.locked_at is not None, f"{name} is locked. Unlock them first."),
        (
            found.user.standing != Standing.ENROLLED.value,
            f"{name} has not set up a second factor, so no code is asked of them.",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _not_invited(found: Target) -> str | None:
    if nobody := unavailable(found.tx, found.acting.policy, invites=True):
        return nobody.message
    if reason := invitations.why_not(found.invitee):
        return reason
    on_its_way = f"{found.user.name} is already invited, and the message is on its way."
    return on_its_way if found.holdings.invited else None


def _not_on_paper(found: Target) -> str | None:
    nobody = no_address(found.tx)
    return nobody.message if nobody else invitations.why_not(found.invitee)


def _not_reminded(found: Target) -> str | None:
    if nobody := unavailable(found.tx, found.acting.policy, invites=False):
        return nobody.message
    if reason := why_not_reminded(found.tx, found.user, found.status, found.holdings):
        return reason
    lately = f"{found.user.name} was already reminded in the last day."
    return lately if found.holdings.reminded else None


def _is_active(found: Target) -> str | None:
    return f"User {found.user.name} is already active." if found.user.active else None


def _not_deactivated(found: Target) -> str | None:
    if not found.user.active:
        return f"User {found.user.name} is already deactivated."
    if found.is_oneself:
        return "You cannot deactivate yourself. Another system administrator can."
    return _last_admin(found)


def _not_deleted(found: Target) -> str | None:
    oneself = "You cannot delete yourself. Another system administrator can."
    return oneself if found.is_oneself else _last_admin(found)


def _own_roles(found: Target) -> str | None:
    return "You cannot change your own roles. Ask another administrator." if found.is_oneself else None


def _own_principals(found: Target) -> str | None:
    return "You cannot change your own principals. Ask another administrator." if found.is_oneself else None


def _too_many_keys(found: Target) -> str | None:
    return public_keys.too_many(found.holdings.keys)


def _no_app(found: Target) -> str | None:
    none = f"{found.user.name} has not set up an authenticator app, so there is nothing to resync."
    return None if found.holdings.has_app else none


_STATES: dict[UserAct, Callable[[Target], str | None]] = {
    UserAct.REQUIRE: _is_required,
    UserAct.STOP_REQUIRING: _is_not_required,
    UserAct.UNLOCK: _is_not_locked,
    UserAct.ONE_TIME_PASSWORD: _own_password,
    UserAct.TEMPORARY_CODE: _no_temporary_code,
    UserAct.INVITE: _not_invited,
    UserAct.INVITE_ON_PAPER: _not_on_paper,
    UserAct.REMIND: _not_reminded,
    UserAct.ACTIVATE: _is_active,
    UserAct.DEACTIVATE: _not_deactivated,
    UserAct.ROLES: _own_roles,
    UserAct.PRINCIPALS: _own_principals,
    UserAct.ADD_KEY: _too_many_keys,
    UserAct.RESYNC: _no_app,
    UserAct.DELETE: _not_deleted,
}
"""Why a user's state leaves nothing for an act to do, or forbids it; None if it does not."""
_POINTLESS: dict[UserAct, Callable[[Target], bool]] = {
    UserAct.DISABLE: lambda found: (
        not (found.user.required or found.user.lost_factor) and _has_nothing(found)
    ),
    UserAct.CLEAR: _has_nothing,
    UserAct.FORGET: lambda found: not found.holdings.remembered,
    UserAct.REMOVE_KEY: lambda found: not found.holdings.keys,
    UserAct.MOVE: lambda found: not found.context.has_several_practices,
}
"""Whether an act has nothing to work on: then it is not offered. It is not refused for that: a command may
be repeated, or say what is missing."""
