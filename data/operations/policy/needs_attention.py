"""Who needs attention: administrators, who protect others, and users who are at risk."""

from dataclasses import dataclass

from data.operations.actors import Acting
from data.operations.applications.findings import suspended_applications
from data.operations.guards import require_permission
from data.operations.signin.password_guessing import guessed_now
from data.operations.users.queries import has_factor, holds, people_in
from data.rules.domain_types import ADMIN_ROLES, Role
from data.rules.permanent_mode import People
from data.rules.permissions import Action
from data.storage import models


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """Active users who need attention; the unprotected have no second factor of any kind.

    `guessed` are those whose passwords are being guessed now.
    """

    guessed: People
    admins: People
    unprotected_admins: People
    unprotected: People
    active: int
    system_admins: int
    suspended_applications: tuple[str, ...] = ()


@require_permission(Action.SEE_PEOPLE)
def show_needs_attention(acting: Acting) -> NeedsAttention:
    """Read who needs attention in the account, in any mode."""
    table = models.User
    active = table.select().where((table.account == acting.account_id) & table.active)
    unprotected = ~has_factor(acting.policy.methods)
    admins = active.where(holds(*ADMIN_ROLES))
    return NeedsAttention(
        guessed=people_in(active.where(table.id.in_(guessed_now(acting.tx)))),
        admins=people_in(admins),
        unprotected_admins=people_in(admins.where(unprotected)),
        unprotected=people_in(active.where(unprotected)),
        active=active.count(),
        system_admins=active.where(holds(Role.SYSTEM_ADMIN)).count(),
        suspended_applications=suspended_applications(acting.account_id),
    )
