"""The accounts of an installation, which only the operator sees and creates."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from peewee import fn

from data.operations.actors import NO_SUCH_ACCOUNT, ActingOperator, find_account, in_account
from data.operations.audit import trail
from data.operations.certificates.authorities import present_authority
from data.operations.guards import require_operator
from data.operations.maintenance.setup import create_account
from data.operations.policy.policy_settings import show_policy
from data.operations.results import Denied, Done, Refused, SessionOver
from data.operations.users.lifecycle import NewUser
from data.operations.users.practices import PracticeRow, list_practices
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.domain_types import ADMIN_ROLES, Mode, Status
from data.storage import models

_OPERATOR_ONLY = Denied("Only the operator on the host can see or create accounts.")


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account, and how many practices and users it has."""

    name: str
    mode: Mode
    practices: int
    users: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """Everything the operator sees of an account; `people` counts the active users by status."""

    name: str
    mode: Mode
    created_at: datetime
    administrators: tuple[str, ...]
    practices: tuple[PracticeRow, ...]
    people: dict[Status, int]


@require_operator(_OPERATOR_ONLY)
def add_account(acting: ActingOperator, name: str, practice: str, admin: NewUser) -> Done | Denied:
    """Create an account with its first practice and its first administrator, or nothing at all."""
    new = replace(admin, roles=ADMIN_ROLES, practice=None)
    with acting.tx.database.atomic() as part:
        result = create_account(acting.tx, acting.operator, name, new, practice)
        if not isinstance(result, Done):
            part.rollback()
    return result


@require_operator(_OPERATOR_ONLY)
def rename_account(acting: ActingOperator, name: str, new_name: str) -> Done | Denied:
    """Give an account another name; only the address of its list of withdrawn certificates follows it."""
    account, wanted = find_account(name), user_fields.tidy(new_name)
    if account is None:
        return NO_SUCH_ACCOUNT
    if not wanted:
        return Denied(f"An account needs a name of at most {user_fields.TEXT_LIMIT} characters.")
    if (same := find_account(wanted)) is not None and same.id != account.id:
        return Denied(f"The account {same.name} already exists. Choose another name.")
    before = account.name
    models.Account.update(name=wanted).where(models.Account.id == account.id).execute()
    within = in_account(acting.tx, acting.operator, account)
    trail.record(within, Event.ACCOUNT_RENAMED, before=before, after=wanted)
    moved = " Have hosts fetch its list of withdrawn certificates under the new name."
    return Done(f"Account {before} renamed to {wanted}.{moved if present_authority(account.id) else ''}")


@require_operator(_OPERATOR_ONLY)
def list_accounts(_acting: ActingOperator) -> list[AccountRow]:
    """Read all accounts by name."""
    table, practice, user = models.Account, models.Practice, models.User
    practices = practice.select(fn.COUNT(practice.id)).where(practice.account == table.id)
    users = user.select(fn.COUNT(user.id)).where(user.account == table.id)
    counted = table.select(table.name, table.mode, practices, users).order_by(fn.FOLD(table.name))
    rows: Iterable[tuple[str, str, int, int]] = counted.tuples().iterator()
    return [AccountRow(name, Mode(mode), parts, people) for name, mode, parts, people in rows]


@require_operator(_OPERATOR_ONLY)
def show_account(acting: ActingOperator, name: str) -> AccountView | Refused:
    """Read all about one account."""
    account = find_account(name)
    if account is None:
        return NO_SUCH_ACCOUNT
    within = replace(acting.operator, account=account.name)
    policy, practices = show_policy(acting.tx, within), list_practices(acting.tx, within)
    if isinstance(policy, Denied | SessionOver):
        return policy
    if isinstance(practices, Denied | SessionOver):
        return practices
    role = models.UserRole
    admins = models.User.select(models.User.name).where(
        (models.User.account == account.id)
        & models.User.id.in_(
            role.select(role.user).where(role.role.in_([held.value for held in ADMIN_ROLES]))
        )
    )
    return AccountView(
        name=account.name,
        mode=policy.policy.mode,
        created_at=account.created_at,
        administrators=tuple(user.name for user in admins.order_by(models.User.name)),
        practices=tuple(practices),
        people=policy.people,
    )
