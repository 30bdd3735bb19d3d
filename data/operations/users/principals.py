"""Principals: giving them to users and practices, and taking them away with the certificates they are in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from data.operations.actors import Acting
from data.operations.audit import trail
from data.operations.certificates.withdrawal import unentitled, withdraw_unentitled
from data.operations.guards import require_permission, why_not
from data.operations.results import Denied, Done
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.operations.users.target_user import Target
from data.operations.users.user_acts import require_target, why_not_to
from data.rules.audit_events import Event
from data.rules.permissions import Action, SensitiveAction, UserAct
from data.rules.principals import RULE, Given, counts, is_reserved, read_principal, why_not_more
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

_OWN_PRACTICE = Denied("You cannot give principals to your own practice. Another security administrator can.")
_NOT_GIVEN = Denied("The principal was not found. List the principals to see which were given.")


@dataclass(frozen=True, slots=True)
class PrincipalRow:
    """A principal, and where it comes from.

    `practice` names the practice that it was given to; empty if it was given to the user, and `is_name` if it
    is the user's name. `counts` is false for a reserved one that the operator did not give: certificates do
    not include it.
    """

    principal: str
    counts: bool
    practice: str = ""
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class PrincipalPreview:
    """What giving or removing a principal does: to whom, and what to consider.

    `people` counts the active users of the practice, if it is one's. `others_name` says that another user of
    the account is called so, and `certificates` counts those that removing it withdraws.
    """

    principal: str
    whose: str
    people: int | None = None
    others_name: bool = False
    certificates: int = 0


@require_target(Action.SEE_PEOPLE)
def list_principals(found: Target) -> list[PrincipalRow]:
    """Read the principals of a user: the name, those given to the user, and those given to the practice."""
    return _borne_by(found.tx, found.user, _given_to(found.user), _given_there(found.user))


def principals_to_show(tx: Tx, user: models.User) -> tuple[PrincipalRow, ...]:
    """Read the principals of a user; none if the account issues no certificates and none were given."""
    own, shared = _given_to(user), _given_there(user)
    is_used = own or shared or user.account.certificate_hours
    return tuple(_borne_by(tx, user, own, shared)) if is_used else ()


@require_permission(Action.SEE_PEOPLE)
def list_practice_principals(acting: Acting, name: str) -> list[PrincipalRow] | Denied:
    """Read the principals of a practice."""
    practice = find_practice(acting, name)
    return (
        NO_SUCH_PRACTICE
        if practice is None
        else _shown(acting.tx, _given_to(practice).values(), practice.name)
    )


@require_target(Action.SEE_PEOPLE)
def preview_principal(found: Target, typed: str, *, removes: bool = False) -> PrincipalPreview | Denied:
    """Return what giving a user a principal, or removing it, would do; a denial if it would be refused."""
    refusal = why_not_to(UserAct.PRINCIPALS, found)
    return refusal or _preview(found.acting, found.user, typed, removes=removes)


@require_target(UserAct.PRINCIPALS)
def add_principal(found: Target, typed: str) -> Done | Denied:
    """Give a user a principal."""
    return _add(found.acting, found.user, typed)


@require_target(UserAct.PRINCIPALS)
def remove_principal(found: Target, typed: str) -> Done | Denied:
    """Take a principal away from a user, and withdraw the certificates that include it."""
    return _remove(found.acting, found.user, typed)


@require_permission(Action.SEE_PEOPLE)
def preview_practice_principal(
    acting: Acting, name: str, typed: str, *, removes: bool = False
) -> PrincipalPreview | Denied:
    """Do as `preview_principal` for everyone in a practice."""
    practice = find_practice(acting, name)
    if practice is None:
        return NO_SUCH_PRACTICE
    refusal = why_not(acting, SensitiveAction.MANAGE_PRINCIPALS)
    return refusal or _preview(acting, practice, typed, removes=removes)


@require_permission(SensitiveAction.MANAGE_PRINCIPALS)
def add_practice_principal(acting: Acting, name: str, typed: str) -> Done | Denied:
    """Give everyone in a practice a principal, now and later."""
    practice = find_practice(acting, name)
    return NO_SUCH_PRACTICE if practice is None else _add(acting, practice, typed)


@require_permission(SensitiveAction.MANAGE_PRINCIPALS)
def remove_practice_principal(acting: Acting, name: str, typed: str) -> Done | Denied:
    """Take a principal away from a practice, and withdraw the certificates of its users that include it."""
    practice = find_practice(acting, name)
    return NO_SUCH_PRACTICE if practice is None else _remove(acting, practice, typed)


_Owner = models.User | models.Practice
_Row = models.UserPrincipal | models.PracticePrincipal


def _column(owner: _Owner) -> Any:
    """Return the column that says whose the principals of such an owner are."""
    return models.UserPrincipal.user if isinstance(owner, models.User) else models.PracticePrincipal.practice


_OWN = Prepared(
    models.UserPrincipal, 1, lambda key: models.UserPrincipal.select().where(models.UserPrincipal.user == key)
)
_SHARED = Prepared(
    models.PracticePrincipal,
    1,
    lambda key: models.PracticePrincipal.select().where(models.PracticePrincipal.practice == key),
)


def _given_to(owner: _Owner) -> dict[str, _Row]:
    rows: list[Any] = _OWN.all(owner.id) if isinstance(owner, models.User) else _SHARED.all(owner.id)
    return {row.principal: row for row in sorted(rows, key=lambda row: str(row.principal))}


def _given_there(user: models.User) -> dict[str, _Row]:
    """Return what was given to a user's practice."""
    rows = _SHARED.all(user.practice_id)
    return {row.principal: row for row in sorted(rows, key=lambda row: row.principal)}


def _shown(tx: Tx, given: Iterable[_Row], practice: str = "") -> list[PrincipalRow]:
    reserved = tx.services.reserved_principals
    return [
        PrincipalRow(row.principal, counts(Given(row.principal, row.by_operator), reserved), practice)
        for row in given
    ]


def _borne_by(
    tx: Tx, user: models.User, own: Mapping[str, _Row], shared: Mapping[str, _Row]
) -> list[PrincipalRow]:
    counted = counts(Given(user.name, by_operator=False), tx.services.reserved_principals)
    name = [] if user.name in own else [PrincipalRow(user.name, counted, is_name=True)]
    practice = user.practice.name if shared else ""
    return [*name, *_shown(tx, own.values()), *_shown(tx, shared.values(), practice)]


def _why_not_add(acting: Acting, owner: _Owner, principal: str | None) -> Denied | None:
    """Return why an actor who may give principals cannot give this one, or None."""
    if principal is None:
        return Denied(RULE)
    reserved = is_reserved(principal, acting.tx.services.reserved_principals)
    if reserved and not acting.is_operator:
        return Denied(f"The principal {principal} is reserved. Only the operator can give it, on the host.")
    if isinstance(owner, models.Practice) and acting.user and acting.user.practice_id == owner.id:
        return _OWN_PRACTICE
    held = _given_to(owner)
    if principal in held and (held[principal].by_operator or not acting.is_operator):
        return Denied(f"{owner.name} already has the principal {principal}.")
    if isinstance(owner, models.User) and principal == owner.name and not reserved:
        return Denied(f"{principal} is the user's name, which is a principal already.")
    reason = why_not_more(held)
    return Denied(reason) if reason else None


def _preview(acting: Acting, owner: _Owner, typed: str, *, removes: bool) -> PrincipalPreview | Denied:
    principal = read_principal(typed)
    row = _given_to(owner).get(principal or "")
    if refusal := (None if row else _NOT_GIVEN) if removes else _why_not_add(acting, owner, principal):
        return refusal
    table, is_user = models.User, isinstance(owner, models.User)
    named = (table.name == str(principal).lower()) & (table.account == acting.account_id)
    others = table.id != owner.id if is_user else True
    inside = table.select().where((table.practice == owner.id) & table.active)
    return PrincipalPreview(
        str(principal),
        owner.name,
        None if is_user else inside.count(),
        others_name=table.select().where(named, others).exists(),
        certificates=len(unentitled(acting.tx, _people(owner), without=row)) if row else 0,
    )


def _add(acting: Acting, owner: _Owner, typed: str) -> Done | Denied:
    principal, column = read_principal(typed), _column(owner)
    if refusal := _why_not_add(acting, owner, principal):
        return refusal
    table = column.model
    # The operator may confirm what an administrator gave.
    table.delete().where((column == owner.id) & (table.principal == principal)).execute()
    values = {column.name: owner.id, "principal": principal, "by_operator": acting.is_operator}
    table.insert(values).execute()
    _record(acting, owner, principal, Event.PRINCIPAL_ADDED, Event.PRACTICE_PRINCIPAL_ADDED)
    return Done(f"Principal {principal} given to {owner.name}. New certificates include it.")


def _remove(acting: Acting, owner: _Owner, typed: str) -> Done | Denied:
    principal, column = read_principal(typed), _column(owner)
    if principal not in _given_to(owner):
        return _NOT_GIVEN
    table = column.model
    table.delete().where((column == owner.id) & (table.principal == principal)).execute()
    _record(acting, owner, principal, Event.PRINCIPAL_REMOVED, Event.PRACTICE_PRINCIPAL_REMOVED)
    because = f"the principal {principal} was removed"
    user = owner if isinstance(owner, models.User) else None
    withdrawn = withdraw_unentitled(acting, _people(owner), because, user=user)
    return Done(f"Principal {principal} removed from {owner.name}.{withdrawn}")


def _people(owner: _Owner) -> Any:
    """Return, as SQL, whether a user has what this owner was given."""
    is_user = isinstance(owner, models.User)
    return models.User.id == owner.id if is_user else models.User.practice == owner.id


def _record(acting: Acting, owner: _Owner, principal: str | None, of_user: Event, of_practice: Event) -> None:
    if isinstance(owner, models.User):
        trail.record(acting, of_user, owner.name, principal=principal)
    else:
        trail.record(acting, of_practice, principal=principal, name=owner.name)
