"""The targets of an account: adding, listing and removing them, and those of a user."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from peewee import JOIN

from data.operations.actors import Acting, ActingUser
from data.operations.audit import trail
from data.operations.guards import require_permission, require_user, why_not
from data.operations.results import Denied, Done
from data.operations.targets.usable import usable_targets, why_not_jump, why_unreachable
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.rules import targets as rules
from data.rules.audit_events import Event
from data.rules.domain_types import Role
from data.rules.permissions import Action, SensitiveAction
from data.rules.targets import NewTarget
from data.rules.user_fields import fold_username
from data.storage import models

NO_SUCH_TARGET: Final = Denied("The target was not found. List the targets to see their names.")
_NO_SUCH_USER = Denied("The user was not found.")


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target and whom it is for: everyone in the account, or those in these practices, roles and users.

    `why_unreachable` says why no one can reach it, as far as that is known without resolving its host; it is
    empty if they may.
    """

    name: str
    host: str
    port: int
    by_operator: bool
    everyone: bool
    practices: tuple[str, ...]
    roles: tuple[Role, ...]
    users: tuple[str, ...]
    created_at: datetime
    why_unreachable: str = ""


@dataclass(frozen=True, slots=True)
class TargetsView:
    """The targets of the account by name, and whether the actor may manage them; else who can."""

    rows: tuple[TargetRow, ...]
    may_manage: bool
    who_can: str


@dataclass(frozen=True, slots=True)
class OwnTarget:
    """A target of one's own, with the command line that reaches it, unless no one can as far as is known."""

    name: str
    host: str
    port: int
    command: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class OwnTargets:
    """One's own targets by name; `hindrance` says why none can be reached in this session, if so."""

    rows: tuple[OwnTarget, ...]
    hindrance: str = ""


@require_permission(Action.SEE_TARGETS)
def list_targets(acting: Acting) -> TargetsView:
    """Read the targets of the account, and whether the actor may change them."""
    refusal = why_not(acting, SensitiveAction.MANAGE_TARGETS)
    rows = _rows(acting, models.Target.account == acting.account_id)
    return TargetsView(tuple(rows), refusal is None, refusal.message if refusal else "")


@require_permission(Action.SEE_TARGETS)
def show_target(acting: Acting, name: str) -> TargetRow | Denied:
    """Read one target by name, ignoring case."""
    found = _find(acting, name)
    return NO_SUCH_TARGET if found is None else _rows(acting, models.Target.id == found.id)[0]


@require_permission(SensitiveAction.MANAGE_TARGETS)
def add_target(acting: Acting, target: NewTarget) -> Done | Denied:
    """Add a target; the operator's may lead anywhere, those of members into the networks of the settings."""
    checked = _checked(acting, target)
    if isinstance(checked, Denied):
        return checked
    grants = _grants(acting, checked)
    if isinstance(grants, Denied):
        return grants
    target_id = models.Target.insert(
        account=acting.account_id,
        name=checked.name,
        host=checked.host,
        port=checked.port,
        by_operator=acting.is_operator,
        everyone=not grants,
        created_at=acting.tx.now,
    ).execute()
    for grant in grants:
        models.TargetGrant.insert(target=target_id, **grant).execute()
    (row,) = _rows(acting, models.Target.id == target_id)
    whom = whom_in_words(row)
    trail.record(acting, Event.TARGET_ADDED, name=row.name, host=row.host, port=row.port, whom=whom)
    but = f" No one can reach it yet: {row.why_unreachable}" if row.why_unreachable else ""
    return Done(f"Target {row.name} added for {whom}.{but}")


@require_permission(SensitiveAction.MANAGE_TARGETS)
def remove_target(acting: Acting, name: str) -> Done | Denied:
    """Remove a target; the servers close its open channels within seconds."""
    found = _find(acting, name)
    if found is None:
        return NO_SUCH_TARGET
    models.Target.delete().where(models.Target.id == found.id).execute()
    trail.record(acting, Event.TARGET_REMOVED, name=found.name)
    return Done(f"Target {found.name} removed.")


@require_user()
def my_targets(me: ActingUser) -> OwnTargets:
    """Read the targets that the actor may reach, and how."""
    ssh = me.tx.services.ssh
    rows = (
        OwnTarget(
            name=row.name,
            host=row.host,
            port=row.port,
            command=rules.jump_command(ssh, me.user.name, row.name, row.port),
            reachable=not why_unreachable(me.tx, row),
        )
        for row in usable_targets(me)
    )
    return OwnTargets(tuple(rows), why_not_jump(me) or "")


def unreachable_targets(acting: Acting) -> list[str]:
    """Return the names of the targets of the account that no one can reach, as far as that is known."""
    table = models.Target
    rows = table.select().where(table.account == acting.account_id).order_by(table.name)
    return [row.name for row in rows if why_unreachable(acting.tx, row)]


def whom_in_words(row: TargetRow) -> str:
    """Return whom a target is for, in words."""
    if row.everyone:
        return "everyone in the account"
    named = [
        *(f"practice {name}" for name in row.practices),
        *(f"{role.label}s" if role is not Role.SUPPORT else role.label for role in row.roles),
        *row.users,
    ]
    return ", ".join(named) or "no one"


def _checked(acting: Acting, new: NewTarget) -> NewTarget | Denied:
    """Return a target as it is stored, or why it cannot be added."""
    folded = rules.folded(new)
    if isinstance(folded, str):
        return Denied(folded)
    if not acting.is_operator and (reason := rules.only_by_operator(folded.host)):
        return Denied(reason)
    if _find(acting, folded.name) is not None:
        return Denied(f"The name {folded.name} is taken. Choose another one.")
    table = models.Target
    if table.select().where(table.account == acting.account_id).count() >= rules.MOST_TARGETS:
        return Denied(f"An account has at most {rules.MOST_TARGETS} targets. Remove one first.")
    return folded


def _grants(acting: Acting, new: NewTarget) -> list[dict[str, object]] | Denied:
    """Return the columns of each grant, or why there is none."""
    grants: dict[tuple[str, object], dict[str, object]] = {}
    for text in new.practices:
        practice = find_practice(acting, text)
        if practice is None:
            return NO_SUCH_PRACTICE
        grants["practice", practice.id] = {"practice": practice.id}
    for role in sorted(new.roles):
        grants["role", role] = {"role": role.value}
    for text in new.users:
        user = models.User.get_or_none(
            (models.User.account == acting.account_id) & (models.User.name == (fold_username(text) or ""))
        )
        if user is None:
            return _NO_SUCH_USER
        grants["user", user.id] = {"user": user.id}
    return list(grants.values())


def _find(acting: Acting, name: str) -> models.Target | None:
    table = models.Target
    mine = (table.account == acting.account_id) & (table.name == (rules.fold_name(name) or ""))
    found: models.Target | None = table.get_or_none(mine)
    return found


def _rows(acting: Acting, which: Any) -> list[TargetRow]:
    """Read targets by name, with whom they are for."""
    target, grant, practice, user = models.Target, models.TargetGrant, models.Practice, models.User
    read = (
        grant.select(grant.target, practice.name, grant.role, user.name)
        .join(target)
        .switch(grant)
        .join(practice, JOIN.LEFT_OUTER)
        .switch(grant)
        .join(user, JOIN.LEFT_OUTER)
        .where(which)
    )
    granted: Iterable[tuple[int, str | None, str | None, str | None]] = read.tuples().iterator()
    practices: defaultdict[int, set[str]] = defaultdict(set)
    roles: defaultdict[int, set[Role]] = defaultdict(set)
    users: defaultdict[int, set[str]] = defaultdict(set)
    for target_id, practice_name, role, user_name in granted:
        if practice_name is not None:
            practices[target_id].add(practice_name)
        if role is not None:
            roles[target_id].add(Role(role))
        if user_name is not None:
            users[target_id].add(user_name)
    return [
        TargetRow(
            name=row.name,
            host=row.host,
            port=row.port,
            by_operator=row.by_operator,
            everyone=row.everyone,
            practices=tuple(sorted(practices[row.id])),
            roles=tuple(role for role in Role if role in roles[row.id]),
            users=tuple(sorted(users[row.id])),
            created_at=row.created_at,
            why_unreachable=why_unreachable(acting.tx, row),
        )
        for row in target.select().where(which).order_by(target.name)
    ]
