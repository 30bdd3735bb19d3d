"""A megabyte in the place of each text: every operation answers, and looks at its length before all else."""

import random
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from importlib import import_module
from inspect import Parameter, isfunction, signature
from pkgutil import walk_packages
from typing import Any, get_type_hints

import pytest
from support.database import OPERATOR, PASSWORD, SECURITY, START, SYSTEM, World, undone

from data import operations
from data.authserver.verification import Verifier
from data.operations.actors import Actor, Member, Operator
from data.operations.applications import registry
from data.operations.applications.asking import Reject, VerifyRequest, authenticate_application
from data.operations.audit.trail import Filter
from data.operations.audit.verification import Plan, Position, Stretch
from data.operations.certificates import authorities
from data.operations.certificates.listing import CertificateRow
from data.operations.policy import policy_settings
from data.operations.signin import first_factor, inbound_sms, second_factor
from data.operations.signin.enrolment import PendingApp, PendingDestination, PendingMessage
from data.operations.targets.jumps import JumpTarget
from data.operations.users.bulk_actions import Bulk
from data.operations.users.lifecycle import NewUser, UserChanges
from data.operations.users.user_search import UserQuery
from data.rules import public_keys, source_addresses, user_fields, user_search, users_csv
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.audit_chain import Head
from data.rules.domain_types import Application, Method, Mode, Role
from data.rules.permissions import Action
from data.rules.source_addresses import Origin
from data.rules.targets import NewTarget
from data.storage import models

SIZE = 1_000_000
_shuffled = random.Random(7)
_MARKS = [mark for mark in map(chr, range(0x300, 0x370)) if unicodedata.combining(mark)]


def filled(part: str) -> str:
    return (part * (SIZE // len(part) + 1))[:SIZE]


KINDS = {
    "letters": filled("a"),
    "combining marks": ("a" + filled("".join(_shuffled.choices(_MARKS, k=9_999))))[:SIZE],
    "digits": filled("1"),
    "dots": filled("."),
    "labels": filled("a@" + "a." * 500),
    "emoji": filled("👩\u200d👩\u200d👧\u200d👦"),
    "white space": filled(" "),
}
_LOOKS = [
    name
    for name in vars(str)
    if name not in ("__len__", "__getitem__", "__new__", "__hash__", "__eq__", "__getattribute__")
    and name not in ("__repr__", "__str__", "__doc__", "__getnewargs__", "__sizeof__")
]
"""What a text can be asked that takes longer the longer it is, comparisons aside."""


class Watched(str):
    """A text that notes what it is asked besides its length, a part of it and whether it equals another."""

    __slots__ = ()
    seen: list[str] = []  # noqa: RUF012 - one list for all.


def _noting(name: str) -> Any:
    def look(self: str, *args: Any) -> Any:
        Watched.seen.append(name)
        return getattr(str, name)(self, *args)

    return look


for _name in _LOOKS:
    setattr(Watched, _name, _noting(_name))


@dataclass(frozen=True)
class Call:
    """A call of an operation with one text in one place of its arguments."""

    operation: Any
    arguments: dict[str, Any]
    place: str

    def __str__(self) -> str:
        return f"{self.operation.__name__}({self.place})"


GIVEN = {"name": "bob", "names": ["bob"], "practice": "Main", "new_name": "South"}
"""What stands in the other places, by the name of the parameter."""
TYPED = (NewUser, UserChanges, UserQuery, Filter, NewTarget)
"""What is filled with texts from outside, and is not looked at before."""
NO_TEXT = {"password_hash", "former", "new", "seen"}
"""Texts that this program makes."""
INTERNAL = {"authorise", "resolve", "find_target"}
STRETCH = Stretch(Head("main", 0, ""), Head("main", 0, ""))


def sample(hint: Any, name: str) -> Any:
    """Return something harmless for a parameter; a type that is not known here is to be added."""
    samples: dict[Any, Any] = {
        int: 1,
        bool: True,
        int | None: None,
        datetime: START,
        datetime | None: None,
        CertificateRow | None: None,
        date | None: None,
        Mode: Mode.REQUIRED,
        Method: Method.EMAIL,
        Bulk: Bulk.REQUIRE,
        Action: Action.SEE_PEOPLE,
        Plan: Plan((), None),
        Stretch: STRETCH,
        Position: Position(Head("main", 0, "")),
        frozenset[Role]: frozenset(),
        frozenset[Role] | None: None,
        frozenset[Method]: frozenset({Method.EMAIL}),
        NewUser: NewUser("new", "new@clinic.example"),
        UserChanges: UserChanges(),
        UserChanges | None: None,
        UserQuery: UserQuery(),
        Filter: Filter(),
        NewTarget: NewTarget("db1", "10.0.0.5"),
        JumpTarget: JumpTarget(1, "db1", "10.0.0.5", 22, by_operator=False),
        PendingApp: PendingApp(1, START, None, "Clinic", "", "A" * 32, ""),
        PendingDestination: PendingDestination(1, START, None, Method.EMAIL, "", "anna@clinic.example"),
        PendingMessage: PendingMessage(1, START, None, "+49301234567", "471108152342"),
    }
    if name in GIVEN or name in NO_TEXT:
        return GIVEN.get(name, "x")
    if hint in (str, str | None):
        return "x" if hint is str else None
    if hint in samples:
        return samples[hint]
    if getattr(hint, "__origin__", None) in (Sequence, Iterable, Collection, tuple):
        return ()
    return lambda *_: None


def places(hint: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each place for a text in a parameter, with how a text is put there."""
    if name in NO_TEXT:
        return
    if hint in (str, str | None):
        yield name, lambda text: text
    elif hint == tuple[str, ...]:
        yield name, lambda text: (text,)
    elif hint in (Sequence[str], Iterable[str]):
        yield name, lambda text: [text]
    elif hint in TYPED:
        texts = [field.name for field in fields(hint) if field.type in (str, str | None)]
        for field in texts:
            if field not in NO_TEXT:
                yield (
                    f"{name}.{field}",
                    lambda text, field=field: replace(sample(hint, name), **{field: text}),
                )


def taken_by(operation: Any) -> dict[str, Any]:
    """Return what an operation takes beside transaction and actor, each with its type.

    Under a guard stands a function that takes who acts, and then the rest of it.
    """
    hints = get_type_hints(operation)
    taken = [
        parameter.name
        for parameter in signature(operation, follow_wrapped=False).parameters.values()
        if parameter.name not in ("tx", "store", "actor")
        and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    ]
    if (body := getattr(operation, "__wrapped__", None)) is not None:
        hints |= get_type_hints(body)
        taken += list(signature(body).parameters)[1:]
    return {name: hints[name] for name in taken}


def calls_of(operation: Any, text: str) -> Iterator[Call]:
    hints = taken_by(operation)
    harmless = {name: sample(hint, name) for name, hint in hints.items()}
    for name, hint in hints.items():
        for place, put in places(hint, name):
            yield Call(operation, harmless | {name: put(text)}, place)


def run(world: World, me: Actor, call: Call) -> None:
    """Make a call whose guard, if it has one, takes the name of a user by its place."""
    parameters = signature(call.operation, follow_wrapped=False).parameters.values()
    placed = [each.name for each in parameters if each.kind is Parameter.POSITIONAL_ONLY][2:]
    named = {name: value for name, value in call.arguments.items() if name not in placed}
    world.run(call.operation, me, *(call.arguments[name] for name in placed), **named)


def operations_of_actors() -> list[Any]:
    """Find every operation that an actor can ask for."""
    prefix = f"{operations.__name__}."
    modules = [import_module(found.name) for found in walk_packages(operations.__path__, prefix)]
    return [
        function
        for module in modules
        for name, function in vars(module).items()
        if isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
        if get_type_hints(function).get("actor") in (Actor, Member) and name not in INTERNAL
    ]


def taken_with_texts() -> set[str]:
    """Name the operations that take a text."""
    return {function.__name__ for function in operations_of_actors() if list(calls_of(function, ""))}


def test_the_operations_that_take_a_text_are_found():
    assert {"edit_own", "list_users", "add_key", "change_password", "unlock"} < taken_with_texts()
    assert {len(text) for text in KINDS.values()} == {SIZE}


@pytest.fixture
def everyone(world: World) -> World:
    world.user("bob")
    models.Account.update(certificate_hours=8).execute()
    world.run(authorities.init_authority, OPERATOR)
    return world


@pytest.fixture(params=list(KINDS))
def text(request: pytest.FixtureRequest) -> Watched:
    Watched.seen.clear()
    return Watched(KINDS[request.param])


def looked_at(call: object) -> str | None:
    """Say what a text was asked that is too long for everything."""
    looks = sorted(set(Watched.seen))
    Watched.seen.clear()
    return f"{call}: {', '.join(looks)}" if looks else None


@pytest.mark.feature("lengths")
@pytest.mark.parametrize("who", ["member", "operator"])
async def test_every_operation_takes_a_megabyte(everyone, text, who):
    """Every operation answers to a text of a megabyte."""
    world, wrong = everyone, []
    me: Actor = world.person("boss", SYSTEM, SECURITY) if who == "member" else OPERATOR
    world.set("bob", locked_at=world.clock.now, attempts_left=0)
    for operation in operations_of_actors():
        for call in calls_of(operation, text):
            if "store" in signature(operation).parameters:
                await operation(world.store, me, **call.arguments)
            else:
                with undone(world):
                    run(world, me, call)
            wrong.append(looked_at(call))
    assert not list(filter(None, wrong))


@pytest.mark.feature("lengths")
def test_unauthenticated_questions_take_it_too(everyone, text):
    """So do those asked before the user is known."""
    world, wrong = everyone, []
    world.enrol("bob")
    attempt = world.attempt("bob")
    for operation, *args in (
        (first_factor.find_candidate, text, world.origin()),
        (first_factor.find_candidate, "bob", Origin(Application.SSH, text)),
        (second_factor.submit_code, attempt, text),
        (inbound_sms.receive_message, text, "4711 0815 2342"),
        (inbound_sms.receive_message, "+49301234567", text),
        (policy_settings.show_policy, replace(OPERATOR, account=text)),
        (policy_settings.show_policy, Operator(text)),
    ):
        with undone(world):
            world.run(operation, *args)
        wrong.append(looked_at(operation.__name__))
    assert not list(filter(None, wrong))


@pytest.mark.parametrize("asks", Asks)
async def test_applications_ask_it_too(everyone, text, asks):
    """So do applications, in the place of everything that they say."""
    added = everyone.run(registry.add_application, OPERATOR, NewApplication("vpn", Protocol.HTTP, asks))
    for token, address in ((text, "127.0.0.1"), (added.secret, text)):
        assert everyone.run(authenticate_application, token, address) is None
    vpn = everyone.run(authenticate_application, added.secret, "127.0.0.1")
    verify = Verifier(everyone.store).verify
    for request in (
        VerifyRequest(text, "123456"),
        VerifyRequest("bob", text),
        VerifyRequest("bob", "123456", text),
        VerifyRequest("bob", "123456", None, text),
    ):
        assert isinstance(await verify(vpn, request), Reject)
    assert looked_at("verify") is None


def test_so_do_the_words_that_a_stranger_types(everyone, text):
    candidate = everyone.run(first_factor.find_candidate, "bob", everyone.origin())
    assert everyone.services.hasher.verify(candidate.password_hash, PASSWORD)
    assert not everyone.services.hasher.verify(candidate.password_hash, text)


@pytest.mark.parametrize("cells", [1, 100])
def test_a_file_with_endless_cells_is_answered(text, cells):
    row = ",".join([str(text)] * cells)
    for raw in (row, f"name,email\nbob,{text}", f"name,email,full_name\nbob,b@c.example,{text}"):
        found = users_csv.read_people(raw.encode())
        assert found.faults
        assert not found.rows


def test_endless_column_names():
    """A row with endless column names is refused at once."""
    found = users_csv.read_people(",".join(f"column{number}" for number in range(200_000)).encode())
    (fault,) = found.faults
    assert "more than 100 column names" in fault.wrong


def test_longest_texts_are_read():
    """A text of the greatest length of its kind is still read."""
    local, labels = "a" * 64, ".".join(["b" * 59] * 3)
    email = f"{local}@{labels}.example"
    assert user_fields.fold_email(email) == email
    assert user_fields.fold_username(" " * 16 + "a" * 32 + " " * 16) == "a" * 32
    assert user_fields.tidy("a" * 120 + " " * 800) == "a" * 120
    assert user_search.terms("a" * 300) == [("a" * user_search.LONGEST,)]
    assert source_addresses.normalise("local") == "local"
    assert public_keys.parse("a" * (public_keys.KEY_LIMIT + 1)) is public_keys.KeyFault.UNREADABLE
