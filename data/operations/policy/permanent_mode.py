"""The checklist of the mode `permanent`, answered from the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.operations.actors import Acting, policy_of
from data.operations.guards import require_permission
from data.operations.users.queries import has_factor, holds, people_in
from data.rules.deadline import has_passed
from data.rules.domain_types import ADMIN_ROLES, Method, Mode, Policy, Role
from data.rules.permanent_mode import Item, checklist, passes
from data.rules.permissions import Action
from data.storage import models


@dataclass(frozen=True, slots=True)
class Checklist:
    """The conditions for making the mode permanent; `account` is the name to type."""

    account: str
    mode: Mode
    items: tuple[Item, ...]

    @property
    def passes(self) -> bool:
        """Whether all conditions are met."""
        return passes(self.items)


@require_permission(Action.SEE_PEOPLE)
def show_checklist(acting: Acting) -> Checklist:
    """Read the checklist, with who is missing for each item."""
    account = models.Account.get_by_id(acting.account_id)
    return Checklist(account.name, acting.policy.mode, items_of(acting.account_id, acting.tx.now))


def items_of(account_id: int, now: datetime) -> tuple[Item, ...]:
    """Judge the checklist of an account now."""
    table = models.User
    policy = policy_of(models.Account.get_by_id(account_id))
    enrolled = has_factor(policy.methods)
    active = table.select().where((table.account == account_id) & table.active)
    return checklist(
        admins_without=people_in(active.where(holds(*ADMIN_ROLES) & ~enrolled)),
        users_without=people_in(active.where(~_can_be_asked(policy))),
        unlockers=people_in(active.where(holds(Role.SYSTEM_ADMIN) & enrolled & table.locked_at.is_null())),
        deadline=None if has_passed(policy, now) else policy.deadline,
    )


def _can_be_asked(policy: Policy) -> Any:
    """Return, as SQL, who is enrolled or has the contact data of a method that is on.

    The authenticator app has no contact data, so only enrolment counts for it. Everyone has an e-mail
    address.
    """
    askable = has_factor(policy.methods)
    if Method.SMS in policy.methods:
        askable |= models.User.phone.is_null(False)
    if Method.EMAIL in policy.methods:
        askable |= models.User.email != ""
    return askable
