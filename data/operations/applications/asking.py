"""Who asks and what they are answered: applications that have proven which one they are."""

import json
from dataclasses import dataclass, field
from typing import Final

from data.operations.actors import roles_of
from data.operations.signin.admission import Attempt
from data.rules import applications as rules
from data.rules.applications import Asks, is_within, token_hash
from data.rules.domain_types import Method
from data.rules.source_addresses import Origin, normalise
from data.rules.user_fields import storable
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

ON_HOST: Final = "host"
"""The address of an application that asks over a socket in the home."""


@dataclass(frozen=True, slots=True)
class AskingApplication:
    """An application that has proven which one it is, and the address that it asks from."""

    id: int
    name: str
    asks: Asks
    may_send: bool
    address: str


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What an application asks: a typed name and answer, and the question that it answers, if there was one.

    `from_address` is where its user comes from, if the application says so and may be believed. `once` says
    that the question takes no second answer.
    """

    name: str = field(repr=False)
    answer: str = field(repr=False)
    transaction_id: str | None = field(default=None, repr=False)
    from_address: str | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Accept:
    """The user may sign in; `message` may be shown, and is often empty.

    `told` is what the application is told of the user, by RADIUS alone: attributes and their values.
    """

    name: str
    message: str = ""
    told: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """The user may not sign in; `message` may be shown.

    `suspends` says that this suspended the application.
    """

    message: str = rules.REJECTED
    suspends: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """A code is asked for: the answer must come with this transaction ID.

    `methods` are those of the user, and empty where they must not be told.
    """

    transaction_id: str = field(repr=False)
    message: str
    methods: tuple[Method, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """A code must be sent before the question with this transaction ID is asked."""

    attempt: Attempt
    method: Method
    transaction_id: str = field(repr=False)


Verdict = Accept | Reject | Challenge

_BY_TOKEN = Prepared(
    models.Application,
    1,
    lambda digest: models.Application.select().where(models.Application.token_hash == digest),
)
_BY_ID = Prepared(
    models.Application,
    1,
    lambda key: (
        models.Application.select(models.Application, models.Account)
        .join(models.Account)
        .where(models.Application.id == key)
    ),
    parent="account",
)
_SERVED = Prepared(
    models.ApplicationPractice,
    1,
    lambda key: models.ApplicationPractice.select().where(models.ApplicationPractice.application == key),
)


def authenticate_application(_tx: Tx, token: str, address: str) -> AskingApplication | None:
    """Return the enabled application that has this token and asks from this address, or None.

    The token is found by its hash, so the time tells nothing of how much of it is right.
    """
    row, here = _BY_TOKEN.one(token_hash(token)), normalise(address)
    if row is None or not row.enabled or not is_within(here, row.networks.split()):
        return None
    return _asking(row, here)


def application_on_host(_tx: Tx, name: str) -> AskingApplication | None:
    """Return an enabled application by its name, for those who can reach a socket in the home."""
    table = models.Application
    row = table.get_or_none(table.name == (rules.fold_name(name) or ""))
    return None if row is None or not row.enabled else _asking(row, ON_HOST)


def _asking(row: models.Application, address: str) -> AskingApplication:
    return AskingApplication(row.id, row.name, Asks(row.asks), row.may_send, address)


def enabled_application(asking: AskingApplication) -> models.Application | None:
    """Read the asking application with its account again; None if it is not enabled any more."""
    row = _BY_ID.one(asking.id)
    return row if row is not None and row.enabled else None


def practices_served(application: models.Application) -> frozenset[int] | None:
    """Read which practices an application serves; None if it serves all of its account."""
    served = frozenset(row.practice_id for row in _SERVED.all(application.id))
    return None if application.all_practices else served


def is_served(application: models.Application, practices: frozenset[int] | None, user: models.User) -> bool:
    """Whether an application that serves these practices serves a user."""
    if user.account_id != application.account_id:
        return False
    return practices is None or user.practice_id in practices


def accepted(application: models.Application, user: models.User, message: str = "") -> Accept:
    """Word that a user may sign in, with what the application is told of them."""
    written = json.loads(application.attributes)
    held = {None, *(role.value for role in roles_of(user))} if written else set()
    told = tuple(
        (attribute, value)
        for attribute, value, role, practice in written
        if role in held and practice in (None, user.practice_id)
    )
    return Accept(user.name, message, told)


def origin_of_request(asking: AskingApplication, request: VerifyRequest) -> Origin:
    """Return where a request comes from: the address of its user, if known, or the application's."""
    told = storable(request.from_address or "").strip()
    return Origin(asking.name, normalise(told) if told else asking.address)
