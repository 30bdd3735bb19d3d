"""Roles: granting and removing them."""

from data.operations.audit import trail
from data.operations.derived_user_columns import refresh_standing_of
from data.operations.results import Denied, Done
from data.operations.signin.sessions import end_sessions_of_user, rejudge_sessions_of
from data.operations.users.target_user import Target
from data.operations.users.user_acts import keeps_last_admins, may_grant, require_target
from data.rules.audit_events import Event
from data.rules.domain_types import Role
from data.rules.permissions import UserAct
from data.storage import models

_LOST_A_ROLE = "An administrator removed one of your roles. Sign in again."


@require_target(UserAct.ROLES)
def set_roles(found: Target, roles: frozenset[Role], *, seen: frozenset[Role] | None = None) -> Done | Denied:
    """Give a user exactly these roles; the actor must be allowed to grant or remove each changed one.

    `seen` are the roles that the actor saw when deciding.
    """
    if refusal := _roles_refusal(found, roles, seen):
        return refusal
    models.UserRole.delete().where(models.UserRole.user == found.user.id).execute()
    for role in roles:
        models.UserRole.insert(user=found.user.id, role=role.value).execute()
    refresh_standing_of(found.user.id, found.tx.now)
    if found.roles - roles:
        end_sessions_of_user(found.tx, found.user.id, _LOST_A_ROLE)
    rejudge_sessions_of(found.tx, found.user.id)
    trail.record(found.acting, Event.ROLES_CHANGED, found.user.name, roles=", ".join(sorted(roles)) or "none")
    return Done(f"Roles of {found.user.name} saved.")


def _roles_refusal(found: Target, roles: frozenset[Role], seen: frozenset[Role] | None) -> Denied | None:
    """Return why this actor cannot set exactly these roles now, or None."""
    user = found.user
    changed = found.roles ^ roles
    if not changed:
        return Denied("The user already has these roles.")
    if seen is not None and seen != found.roles:
        held = ", ".join(role.label for role in sorted(found.roles)) or "none"
        return Denied(
            f"Someone else changed the roles of {user.name} to {held} in the meantime. Check them, then "
            "try again."
        )
    refusals = (may_grant(found.acting, role) for role in sorted(changed))
    return next(filter(None, refusals), None) or keeps_last_admins(found, found.roles - roles)
