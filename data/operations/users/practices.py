"""Practices: the parts of an account, each with its users; one policy applies to all of them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from peewee import JOIN, fn

from data.operations.actors import Acting, Actor
from data.operations.audit import trail
from data.operations.certificates.effective_principals import principals_of
from data.operations.certificates.withdrawal import unentitled, withdraw_unentitled
from data.operations.derived_user_columns import reindex_practice
from data.operations.guards import authorise, require_permission, why_not
from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.users.target_user import Target
from data.operations.users.user_acts import find_target
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.permissions import Action, Permission, SensitiveAction, UserAct
from data.storage import models
from data.store import Tx

_INSIDE = (models.User, models.StagedUser)
"""The tables of those who are in a practice; one that has any cannot be removed."""
NO_SUCH_PRACTICE = Denied("The practice was not found. List practices to see their names.")


@dataclass(frozen=True, slots=True)
class PracticeRow:
    """A practice, and how many users are in it; `active` counts those who may sign in."""

    name: str
    users: int
    active: int


@dataclass(frozen=True, slots=True)
class PracticesView:
    """The practices, and what the actor may do: manage them, and remove those of these names.

    `who_can` says who can, if they may not. `may_be_given` names those that the actor may give principals to,
    and `may_lose` those that have some which the actor may take away.
    """

    rows: tuple[PracticeRow, ...]
    may_manage: bool
    removable: frozenset[str]
    who_can: str
    may_be_given: frozenset[str]
    may_lose: frozenset[str]


@require_permission(Action.SEE_PEOPLE)
def show_practices(acting: Acting) -> PracticesView:
    """Read the practices of the account by name, and what the actor may do with them."""
    refusal, rows = why_not(acting, Action.MANAGE_PRACTICES), tuple(_rows(acting))
    gives = why_not(acting, SensitiveAction.MANAGE_PRINCIPALS) is None
    own = acting.user.practice.name if acting.user else None
    return PracticesView(
        rows=rows,
        may_manage=refusal is None,
        removable=frozenset() if refusal else frozenset(_empty_ones(acting)),
        who_can=refusal.message if refusal else "",
        may_be_given=frozenset(row.name for row in rows if row.name != own) if gives else frozenset(),
        may_lose=frozenset(_with_principals(acting)) if gives else frozenset(),
    )


@require_permission(Action.SEE_PEOPLE)
def list_practices(acting: Acting) -> list[PracticeRow]:
    """Read the practices of the account by name, with the number of users in each."""
    return _rows(acting)


def _empty_ones(acting: Acting) -> Iterable[str]:
    """Yield the names of the practices that can be removed."""
    table = models.Practice
    empty = table.select(table.name).where(table.account == acting.account_id)
    for users in _INSIDE:
        empty = empty.where(~fn.EXISTS(users.select(1).where(users.practice == table.id)))
    return (row.name for row in empty)


def _with_principals(acting: Acting) -> Iterable[str]:
    """Yield the names of the practices that have principals."""
    table, given = models.Practice, models.PracticePrincipal
    having = table.id.in_(given.select(given.practice))
    return (row.name for row in table.select(table.name).where(table.account == acting.account_id, having))


def _rows(acting: Acting) -> list[PracticeRow]:
    table, kept = models.Practice, models.UserCount
    active = fn.COALESCE(kept.people, 0)
    same = (kept.account_id == table.account) & (kept.practice_id == table.id) & (kept.role == "")
    counted = (
        table.select(table.name, active + fn.COALESCE(kept.deactivated, 0), active)
        .join(kept, JOIN.LEFT_OUTER, on=same)
        .where(table.account == acting.account_id)
        .order_by(fn.FOLD(table.name))
    )
    rows: Iterable[tuple[str, int, int]] = counted.tuples().iterator()
    return [PracticeRow(*row) for row in rows]


@require_permission(Action.SEE_PEOPLE)
def practice_names(acting: Acting) -> list[str]:
    """Read the names of the account's practices, without counting users."""
    table = models.Practice
    named = table.select(table.name).where(table.account == acting.account_id).order_by(fn.FOLD(table.name))
    return [row.name for row in named]


@require_permission(Action.SEE_PEOPLE)
def practice_named(acting: Acting, name: str) -> str | Denied:
    """Return a practice's name as it is written, looked up ignoring case."""
    found = find_practice(acting, name)
    return NO_SUCH_PRACTICE if found is None else str(found.name)


@require_permission(Action.MANAGE_PRACTICES)
def add_practice(acting: Acting, name: str) -> Done | Denied:
    """Add a practice to the account."""
    free = _free_name(acting, name)
    if isinstance(free, Denied):
        return free
    practice_id = models.Practice.insert(account=acting.account_id, name=free).execute()
    reindex_practice(practice_id, acting.account_id, free)
    trail.record(acting, Event.PRACTICE_ADDED, name=free)
    return Done(f"Practice {free} added.")


@require_permission(Action.MANAGE_PRACTICES)
def rename_practice(acting: Acting, name: str, new_name: str) -> Done | Denied:
    """Give a practice another name; its users stay in it."""
    practice = find_practice(acting, name)
    if practice is None:
        return NO_SUCH_PRACTICE
    before = practice.name
    free = _free_name(acting, new_name, besides=practice.id)
    if isinstance(free, Denied):
        return free
    if free == before:
        return Done("Nothing changed.")
    models.Practice.update(name=free).where(models.Practice.id == practice.id).execute()
    reindex_practice(practice.id, acting.account_id, free)
    trail.record(acting, Event.PRACTICE_RENAMED, before=before, after=free)
    return Done(f"Practice {before} renamed to {free}.")


@require_permission(Action.MANAGE_PRACTICES)
def remove_practice(acting: Acting, name: str) -> Done | Denied:
    """Remove an empty practice; the last one stays, because the last administrator is in it."""
    practice = find_practice(acting, name)
    if practice is None:
        return NO_SUCH_PRACTICE
    users = sum(table.select().where(table.practice == practice.id).count() for table in _INSIDE)
    if users:
        who = "1 user is" if users == 1 else f"{users} users are"
        return Denied(f"{who} in practice {practice.name}. Move them to another one first.")
    # Tombstones need a practice too; there is another one, because someone is in it.
    other = models.Practice.get(
        (models.Practice.account == acting.account_id) & (models.Practice.id != practice.id)
    )
    models.User.update(practice=other.id).where(models.User.practice == practice.id).execute()
    models.PracticeWord.delete().where(models.PracticeWord.practice == practice.id).execute()
    _tell_no_more_of(practice)
    models.Practice.delete().where(models.Practice.id == practice.id).execute()
    trail.record(acting, Event.PRACTICE_REMOVED, name=practice.name)
    return Done(f"Practice {practice.name} removed.")


def _tell_no_more_of(practice: models.Practice) -> None:
    """Take a practice out of what applications are told of users: another one may get its ID later."""
    table = models.Application
    of_account = (table.account == practice.account) & (table.attributes != "[]")
    for application in list(table.select().where(of_account)):
        told = [each for each in json.loads(application.attributes) if each[-1] != practice.id]
        table.update(attributes=json.dumps(told)).where(table.id == application.id).execute()


def move_user(
    tx: Tx, actor: Actor, name: str, practice: str, *, seen: str | None = None
) -> Done | RefusedOrStale:
    """Move a user to another practice of the account; `seen` is the practice that the actor saw them in.

    Whoever comes to a practice is given its principals: if it has any, this needs fresh proof, and nobody
    does it to themselves. Certificates with principals that they lose are withdrawn.
    """
    found = find_target(tx, actor, name, UserAct.MOVE)
    if not isinstance(found, Target):
        return found
    user, wanted = found.user, find_practice(found.acting, practice)
    if wanted is None:
        return NO_SUCH_PRACTICE
    proven = authorise(tx, actor, action_to_move(found.acting, practice))
    if not isinstance(proven, Acting):
        return proven
    before, gained = user.practice.name, _gained(found, wanted)
    if refusal := _why_not_move(found, wanted, seen, gained):
        return refusal
    models.User.update(practice=wanted.id).where(models.User.id == user.id).execute()
    trail.record(found.acting, Event.USER_MOVED, user.name, before=before, after=wanted.name)
    withdrawn = withdraw_unentitled(
        found.acting, models.User.id == user.id, f"the user was moved from {before}", user=user
    )
    given = f" New certificates include {gained}." if gained else ""
    return Done(f"User {user.name} moved to practice {wanted.name}.{given}{withdrawn}")


def lost_by_moving(found: Target, wanted: models.Practice) -> int:
    """Count the certificates of a user that a move would withdraw; none if it would be refused."""
    if _why_not_move(found, wanted, None, _gained(found, wanted)):
        return 0
    return len(unentitled(found.tx, models.User.id == found.user.id, moved_to=wanted))


def _gained(found: Target, wanted: models.Practice) -> str:
    """Return the principals that a user would have after a move and does not have now."""
    user, table = found.user, models.User
    there = table(id=user.id, name=user.name, practice=wanted)
    return ", ".join(sorted(principals_of(found.tx, there) - principals_of(found.tx, user)))


def _why_not_move(found: Target, wanted: models.Practice, seen: str | None, gained: str) -> Denied | None:
    name, before = found.user.name, found.user.practice.name
    if wanted.id == found.user.practice_id:
        return Denied(f"User {name} is already in practice {before}.")
    if seen is not None and seen != before:
        return Denied(f"Someone else moved {name} to {before} in the meantime. Check it, then try again.")
    if gained and found.is_oneself:
        return Denied(f"You would give yourself principals: {gained}. Another administrator can move you.")
    return None


def action_to_move(acting: Acting, practice: str) -> Permission:
    """Return what moving someone to a practice needs: it empowers them if the practice has principals."""
    wanted, table = find_practice(acting, practice), models.PracticePrincipal
    has_some = wanted is not None and table.select().where(table.practice == wanted.id).exists()
    return SensitiveAction.EMPOWER_PEOPLE if has_some else UserAct.MOVE.permission


def find_practice(acting: Acting, name: str) -> models.Practice | None:
    """Look up a practice of the actor's account by name, ignoring case."""
    folded = (user_fields.tidy(name) or "").lower()
    table = models.Practice
    found: models.Practice | None = table.get_or_none(
        (table.account == acting.account_id) & (fn.FOLD(table.name) == folded)
    )
    return found


def _free_name(acting: Acting, typed: str, besides: int | None = None) -> str | Denied:
    name = user_fields.tidy(typed)
    if not name:
        return Denied(f"A practice needs a name of at most {user_fields.TEXT_LIMIT} characters.")
    same = find_practice(acting, name)
    if same is not None and same.id != besides:
        return Denied(f"The practice {same.name} already exists. Choose another name.")
    return name
