"""The applications of an account: adding, listing, enabling, disabling and removing them."""

import base64
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from data.operations.actors import Acting
from data.operations.applications.guessing import forget_guesses
from data.operations.audit import trail
from data.operations.guards import require_permission, why_not
from data.operations.results import Denied, Done
from data.operations.secret_sealing import seal_at
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.rules import applications as rules
from data.rules.applications import Asks, NewApplication, Protocol, ReplyAttribute, Told, token_hash
from data.rules.audit_events import Event
from data.rules.domain_types import Role
from data.rules.permissions import Action, SensitiveAction
from data.rules.source_addresses import parse_network
from data.storage import models
from data.store import Tx

_SECRET_BYTES = 24
"""192 random bits, which base64 writes as 32 characters."""
NO_SUCH_APPLICATION: Final = Denied(
    "The application was not found. List the applications to see their names."
)


class State(StrEnum):
    """Whether an application is answered."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """An application without its secret; `practices` are those it serves, and empty if it serves all.

    `rotated_at` is when its secret was made.
    """

    name: str
    protocol: Protocol
    asks: Asks
    state: State
    networks: tuple[str, ...]
    all_practices: bool
    practices: tuple[str, ...]
    accept_without_2fa: bool
    may_send: bool
    lenient: bool
    told: tuple[Told, ...]
    created_at: datetime
    rotated_at: datetime
    suspended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApplicationsView:
    """The applications of the account by name, and whether the actor may manage them; else who can."""

    rows: tuple[ApplicationRow, ...]
    may_manage: bool
    who_can: str


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A token or secret, to be shown once."""

    application: str
    protocol: Protocol
    secret: str = field(repr=False)


@require_permission(Action.SEE_APPLICATIONS)
def list_applications(acting: Acting) -> ApplicationsView:
    """Read the applications of the account, and what the actor may do with them."""
    table = models.Application
    rows = table.select().where(table.account == acting.account_id).order_by(table.name)
    refusal = why_not(acting, SensitiveAction.MANAGE_APPLICATIONS)
    return ApplicationsView(
        tuple(_row(row) for row in list(rows)), refusal is None, refusal.message if refusal else ""
    )


@require_permission(Action.SEE_APPLICATIONS)
def show_application(acting: Acting, name: str) -> ApplicationRow | Denied:
    """Read one application by name, ignoring case."""
    found = _find(acting, name)
    return NO_SUCH_APPLICATION if found is None else _row(found)


@require_permission(SensitiveAction.MANAGE_APPLICATIONS)
def add_application(acting: Acting, new: NewApplication) -> NewSecret | Denied:
    """Register an application of the account, and make its secret."""
    checked = _checked(acting, new)
    if isinstance(checked, Denied):
        return checked
    table, now = models.Application, acting.tx.now
    application_id = table.insert(
        account=acting.account_id,
        name=checked.name,
        protocol=checked.protocol.value,
        asks=checked.asks.value,
        networks=" ".join(checked.networks),
        all_practices=not checked.practices,
        accept_without_2fa=checked.accept_without_2fa,
        may_send=checked.may_send,
        lenient=checked.lenient,
        attributes=_written(acting, checked.told),
        enabled=True,
        created_at=now,
        rotated_at=now,
    ).execute()
    for name in checked.practices:
        practice = find_practice(acting, name)
        if practice is not None:
            models.ApplicationPractice.insert(application=application_id, practice=practice.id).execute()
    trail.record(
        acting,
        Event.APPLICATION_ADDED,
        name=checked.name,
        protocol=checked.protocol.value,
        asks=checked.asks.value,
        networks=", ".join(checked.networks),
        practices=", ".join(checked.practices) or "all",
        accept_without_2fa=checked.accept_without_2fa,
        may_send=checked.may_send,
        lenient=checked.lenient,
        told=", ".join(f"{each.attribute}: {each.text}" for each in checked.told),
    )
    return _give_secret(acting.tx, table.get_by_id(application_id))


@require_permission(SensitiveAction.MANAGE_APPLICATIONS)
def rotate_secret(acting: Acting, name: str) -> NewSecret | Denied:
    """Give an application a new secret; the one before it is no longer accepted."""
    found = _find(acting, name)
    if found is None:
        return NO_SUCH_APPLICATION
    models.Application.update(rotated_at=acting.tx.now).where(models.Application.id == found.id).execute()
    trail.record(acting, Event.APPLICATION_ROTATED, name=found.name)
    return _give_secret(acting.tx, found)


@require_permission(SensitiveAction.MANAGE_APPLICATIONS)
def enable_application(acting: Acting, name: str) -> Done | Denied:
    """Have an application answered again, whether it was disabled or suspended."""
    found = _find(acting, name)
    if found is None:
        return NO_SUCH_APPLICATION
    if found.enabled and found.suspended_at is None:
        return Done(f"Application {found.name} is already enabled.")
    table = models.Application
    table.update(enabled=True, suspended_at=None).where(table.id == found.id).execute()
    forget_guesses(found)
    trail.record(acting, Event.APPLICATION_ENABLED, name=found.name, before=_state(found).value)
    return Done(f"Application {found.name} enabled.")


@require_permission(SensitiveAction.MANAGE_APPLICATIONS)
def disable_application(acting: Acting, name: str) -> Done | Denied:
    """Stop answering an application; its secret and settings stay."""
    found = _find(acting, name)
    if found is None:
        return NO_SUCH_APPLICATION
    if not found.enabled:
        return Done(f"Application {found.name} is already disabled.")
    models.Application.update(enabled=False).where(models.Application.id == found.id).execute()
    trail.record(acting, Event.APPLICATION_DISABLED, name=found.name)
    return Done(f"Application {found.name} disabled.")


@require_permission(SensitiveAction.MANAGE_APPLICATIONS)
def remove_application(acting: Acting, name: str) -> Done | Denied:
    """Remove an application with its secret; the audit log keeps its name."""
    found = _find(acting, name)
    if found is None:
        return NO_SUCH_APPLICATION
    models.Application.delete().where(models.Application.id == found.id).execute()
    trail.record(acting, Event.APPLICATION_REMOVED, name=found.name)
    return Done(f"Application {found.name} removed.")


def secret_place(application_id: int) -> str:
    """Return the place that the secret of an application is sealed for."""
    return f"application:{application_id}"


def _checked(acting: Acting, new: NewApplication) -> NewApplication | Denied:
    """Return an application as it is stored, or why it cannot be added."""
    name = rules.fold_name(new.name)
    if name is None:
        return Denied(rules.NAME_RULE)
    if reason := rules.why_not(new):
        return Denied(reason)
    networks: list[str] = []
    for text in new.networks or rules.LOOPBACK:
        network = parse_network(text)
        if network is None:
            typed = text[: rules.TYPED_LIMIT]
            return Denied(f"{typed} is not a network. Write an address, or a network such as 10.0.0.0/24.")
        networks.append(str(network))
    of_told = [each.practice for each in new.told if each.practice]
    practices = [find_practice(acting, text) for text in (*new.practices, *of_told)]
    if not all(practices):
        return NO_SUCH_PRACTICE
    served = [practice.name for practice in practices[: len(new.practices)] if practice]
    if models.Application.select().where(models.Application.name == name).exists():
        return Denied(f"The name {name} is taken. Choose another one.")
    return replace(
        new,
        name=name,
        networks=tuple(dict.fromkeys(networks)),
        practices=tuple(dict.fromkeys(served)),
    )


def _give_secret(tx: Tx, application: models.Application) -> NewSecret:
    """Make a secret, and keep its hash, or itself where the protocol needs it."""
    protocol = Protocol(application.protocol)
    secret = _new_secret(tx)
    kept: dict[str, object] = (
        {"token_hash": token_hash(secret)}
        if protocol is Protocol.HTTP
        else {"sealed_secret": seal_at(tx, secret_place(application.id), secret.encode())}
    )
    models.Application.update(kept).where(models.Application.id == application.id).execute()
    return NewSecret(application.name, protocol, secret)


def _new_secret(tx: Tx) -> str:
    """Make a secret that no program takes for an option."""
    made = base64.urlsafe_b64encode(tx.services.random_bytes(_SECRET_BYTES)).decode()
    return f"_{made[1:]}" if made.startswith("-") else made


def _written(acting: Acting, told: tuple[Told, ...]) -> str:
    """Write what is told of users; a practice is kept by its ID, so that it can be renamed."""
    practices = {each.practice: find_practice(acting, each.practice) for each in told if each.practice}
    ids = {name: practice.id for name, practice in practices.items() if practice is not None}
    return json.dumps(
        [[each.attribute, each.value, each.role, ids.get(each.practice or "")] for each in told]
    )


def _read(attributes: str) -> tuple[Told, ...]:
    """Read what is told of users; of a practice that was removed, nothing is told any more."""
    written = json.loads(attributes)
    ids = [practice_id for *_, practice_id in written if practice_id is not None]
    table = models.Practice
    names = {row.id: row.name for row in table.select().where(table.id.in_(ids))} if ids else {}
    return tuple(
        Told(ReplyAttribute(name), value, Role(role) if role else None, names.get(practice_id))
        for name, value, role, practice_id in written
        if practice_id is None or practice_id in names
    )


def _find(acting: Acting, name: str) -> models.Application | None:
    table = models.Application
    mine = (table.account == acting.account_id) & (table.name == (rules.fold_name(name) or ""))
    found: models.Application | None = table.get_or_none(mine)
    return found


def _state(row: models.Application) -> State:
    if not row.enabled:
        return State.DISABLED
    return State.ENABLED if row.suspended_at is None else State.SUSPENDED


def _row(row: models.Application) -> ApplicationRow:
    served, practices = models.ApplicationPractice, models.Practice
    names = (
        practices.select(practices.name)
        .join(served, on=(served.practice == practices.id))
        .where(served.application == row.id)
        .order_by(practices.name)
    )
    return ApplicationRow(
        name=row.name,
        protocol=Protocol(row.protocol),
        asks=Asks(row.asks),
        state=_state(row),
        networks=tuple(row.networks.split()),
        all_practices=row.all_practices,
        practices=tuple(practice.name for practice in names),
        accept_without_2fa=row.accept_without_2fa,
        may_send=row.may_send,
        lenient=row.lenient,
        told=_read(row.attributes),
        created_at=row.created_at,
        rotated_at=row.rotated_at,
        suspended_at=row.suspended_at,
    )
