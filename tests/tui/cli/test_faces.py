"""Every act beside its command: the same outcome, audit row and refusal through the app, the host and SSH."""

import asyncio
import inspect
import io
import json
import re
import shlex
from base64 import b32encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import click
import pytest
from support.command_tree import commands
from support.database import OPERATOR, World, totp
from support.faces import (
    BY_SSH,
    EVERYONE,
    FACES,
    INTO_A_FILE,
    MEANWHILE,
    PARTS,
    READING,
    READING_OWN,
    WHO,
    WITHOUT_COMMAND,
    Face,
    build,
    open_session,
)
from support.operations import OF_THE_OPERATOR, every_operation

from data.delivery.carriers import Carriers, Command
from data.operations.actors import Member
from data.operations.results import Denied, FreshProofNeeded, SessionOver
from data.operations.signin.admission import Session
from data.operations.users.bulk_actions import BulkResult
from data.operations.users.user_import import Faulty
from data.rules.permissions import Action
from data.rules.policy import SignedIn
from data.storage import models
from data.storage.home import Home
from sshserver.command_streams import Streams
from tui import manual
from tui.cli.command_groups import LazyGroup
from tui.cli.config_file import load
from tui.cli.main import COMMANDS
from tui.cli.open_installation import Installation
from tui.cli.over_ssh.runner import MemberCommands
from tui.cli.running import outcome
from tui.cli.streams import using
from tui.keys import Act

CARRIERS = Carriers(command=Command(("true",)))
"""A gateway that takes every text message."""
HOST = LazyGroup("twofold", places={name: place for name, (place, _) in COMMANDS.items()})
"""The host's commands, given an installation that is open already."""
MASKED = re.compile(r"hash|sealed|^actor$|^application$|^address$|^by_operator$|try_at|tries")
"""Columns that differ each time, being salted, or say who acts from where, or what is sent by when."""
MEMBERS = MemberCommands(None, CARRIERS)  # type: ignore[arg-type]
"""The commands of members, whose tree is made once."""
UNREAD = "Code:\ntwofold: Not confirmed. Nothing was changed.\n"
"""What is said instead where the code would have been read from standard input."""
CONFIRM = "twofold: Confirm it's you first: ssh -t gate me confirm\n"
APART = {models.AuditEntry, models.AuditChain, models.AuditChainKey, models.CarrierFailure}
STORED = {
    table._meta.table_name: "SELECT {} FROM {}".format(
        ", ".join(
            f'"{field.column_name}"'
            for field in table._meta.sorted_fields
            if not MASKED.search(field.column_name)
        ),
        table._meta.table_name,
    )
    for table in models.TABLES
    if table not in APART
}
"""The statement that reads what is compared of each table."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


class Clinic:
    """The clinic of the table, of which each act gets a copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies = 0
        self._built = World(self._new_folder())
        self.members = build(self._built)
        self._rows = models.AuditEntry.select().count()
        self._built.close()

    def _new_folder(self) -> Path:
        self._copies += 1
        folder = self._folder / str(self._copies)
        folder.mkdir()
        return folder

    @contextmanager
    def copy(self, face: Face | None = None) -> Iterator[World]:
        """Open a copy, in which chance falls the same way each time, ready for an act."""
        world = World(self._new_folder(), like=self._built)
        world.store.services = world.services = replace(world.services, random_bytes=Random(7).randbytes)
        try:
            if face is not None:
                face.first(world)
            yield world
        finally:
            world.close()

    def effect(self) -> set[str]:
        """Return the audit rows that were added, without who acted, and all else that is stored now."""
        stored = {
            f"{name} {row}"
            for name, reading in STORED.items()
            for row in models.database.execute_sql(reading)
        }
        added = enumerate(self._added())
        return stored | {f"{number} {row.event} {row.user} {row.detail}" for number, row in added}

    def actors(self) -> set[tuple[str, str]]:
        """Return who wrote the added audit rows, and from where."""
        return {(row.actor, row.application) for row in self._added()}

    def _added(self) -> list[models.AuditEntry]:
        return list(models.AuditEntry.select().order_by(models.AuditEntry.id).offset(self._rows))


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return Clinic(tmp_path_factory.mktemp("faces"))


def typed(world: World, face: Face) -> str:
    """Return what a command reads, with the codes that the phones show."""
    secret = b32encode(Random(7).randbytes(20)).decode()
    now = world.clock.now
    first, later = totp(secret, now), world.code("ben", 1)
    return face.stdin.replace("{first code}", first).replace("{next code}", later)


def words_of(face: Face) -> list[str]:
    """Return a command line as words, with the number of the session to end."""
    return shlex.split(face.line.replace("{session}", str(open_session("ben"))))


@contextmanager
def streams(stdin: str) -> Iterator[tuple[Streams, Callable[[int], Ended]]]:
    out, err = io.StringIO(), io.StringIO()
    yield (
        Streams(io.BytesIO(stdin.encode()), out, err),
        lambda status: Ended(status, out.getvalue(), err.getvalue()),
    )


def on_host(world: World, words: list[str], stdin: str = "") -> Ended:
    """Run a command as the operator, on an installation that is open already."""
    home = Home(world.path.parent / "home")
    here = Installation(home, load(home.path / "none"), world.store, OPERATOR, CARRIERS)

    def invoke() -> object:
        with HOST.make_context("twofold", list(words), obj=here) as context:
            return HOST.invoke(context)

    with streams(stdin) as (given, ended), using(given):
        return ended(outcome(invoke))


def over_ssh(world: World, me: Member, words: list[str], stdin: str = "") -> Ended:
    """Run a command as a member, by what the server runs it with."""
    with streams(stdin) as (given, ended):
        commands = copy(MEMBERS)
        commands._store = world.store
        admitted = Session(me.session_id, 0, "", "ssh", "192.0.2.1", world.clock.now, SignedIn())
        return ended(asyncio.run(commands.run(admitted, words, given)))


def in_app(world: World, me: Member, face: Face) -> Any:
    """Do what the app does for an act."""
    result = face.perform(world, me)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def refusal(result: object) -> str | None:
    """Return the words of a refusal."""
    assert not isinstance(result, FreshProofNeeded | SessionOver | Faulty), result
    if isinstance(result, BulkResult):
        assert result.done, result
    return result.message if isinstance(result, Denied) else None


ids = {"ids": lambda face: face.line}
LOOKING = (*READING, *READING_OWN)
CHANGING = [face for face in FACES if face not in LOOKING]


@pytest.mark.feature("parity")
@pytest.mark.parametrize("face", CHANGING, **ids)
def test_same_outcome_and_audit_row(clinic, face):
    """Who may do it in the app may do it by command; who may not is refused in the same words."""
    effect: set[str] = set()
    for name in sorted(face.who & set(face.by)):
        me = clinic.members[name]
        with clinic.copy(face) as world:
            assert refusal(in_app(world, me, face)) is None
            effect = clinic.effect()
        with clinic.copy(face) as world:
            ended = over_ssh(world, me, words_of(face), typed(world, face))
            assert ended.status == 0, ended
            assert clinic.effect() ^ effect == set()
            assert clinic.actors() <= {(name, "ssh")}
    with clinic.copy(face) as world:
        before = clinic.effect()
        for name in set(face.by) - face.who:
            # Some commands first look at what they would change, as the app does.
            looking = {Action.SEE_PEOPLE.who_can, Action.SEE_APPLICATIONS.who_can, Action.SEE_TARGETS.who_can}
            words = refusal(in_app(world, clinic.members[name], face))
            ended = over_ssh(world, clinic.members[name], words_of(face), typed(world, face))
            assert (ended.status, ended.out) == (1, ""), name
            assert ended.err in {f"twofold: {said}\n" for said in (words, *looking)}, name
        assert clinic.effect() == before
    if face.has_host:
        with clinic.copy(face) as world:
            assert on_host(world, words_of(face), typed(world, face)).status == 0
            assert clinic.effect() ^ effect == set()
            assert clinic.actors() == {("operator:root", "host")}


@pytest.mark.feature("parity", "fresh-code")
def test_same_fresh_codes(clinic):
    """Without a terminal, a command is refused where the app asks for a fresh code, and says what to do."""
    asked = set()
    for face in CHANGING:
        with clinic.copy(face) as world:
            world.clock.forward(minutes=6)
            me = clinic.members[min(face.who & set(face.by))]
            if isinstance(in_app(world, me, face), FreshProofNeeded):
                before = clinic.effect()
                ended = over_ssh(world, me, words_of(face), typed(world, face))
                assert ended.status == 1, face.line
                assert ended.err.endswith(UNREAD if face.command == "cert -" else CONFIRM), face.line
                assert clinic.effect() == before, face.line
                asked.add(face.command)
    assert {"user add", "user unlock", "policy set --mode", "me codes", "me key add"} <= asked


@pytest.mark.feature("parity")
@pytest.mark.parametrize("face", LOOKING, **ids)
def test_same_answer(clinic, face):
    """What is read is the same on the host and over SSH, for whoever sees it in the app."""
    with clinic.copy(face) as world:
        shown = on_host(world, words_of(face)) if face.has_host else None
        for name in face.by:
            me = clinic.members[name]
            words = refusal(in_app(world, me, face))
            assert (words is None) == (name in face.who), name
            ended = over_ssh(world, me, words_of(face))
            if words is not None:
                assert (ended.status, ended.out, ended.err) == (1, "", f"twofold: {words}\n")
                continue
            assert (ended.status, ended.err) == (0, "")
            if "--json" in face.line:
                json.loads(ended.out)
            assert shown is None or ended.out == shown.out


def operations_of(face: Face) -> set[str]:
    """Return the operations that the app's way of an act names."""
    return {face.perform.__name__, *face.perform.__code__.co_names} & every_operation()


@pytest.mark.feature("parity")
def test_every_operation_has_a_command():
    """An operation is an act's, a part of one that is, or the operator's alone."""
    faced = {name for face in FACES for name in operations_of(face)}
    assert not faced & (OF_THE_OPERATOR | PARTS.keys())
    assert every_operation() == faced | OF_THE_OPERATOR | PARTS.keys() | INTO_A_FILE | BY_SSH
    assert set(PARTS.values()) <= faced


@pytest.mark.feature("parity")
def test_every_act_of_the_app_has_a_command():
    labels = {label for act in Act if act not in WITHOUT_COMMAND for label in act.labels} - MEANWHILE
    assert {face.label for face in FACES if face.key} == labels


def listed() -> list[tuple[str, ...]]:
    """Return the rows of the manual's table, from the acts."""
    rows = {}
    for face in FACES:
        rows.setdefault((face.command, face.place, face.label), face)
    return [
        (
            face.place,
            f"`{face.key}` {face.label}" if face.key else face.label,
            f"`{face.command}`",
            who_may(face),
        )
        for face in rows.values()
    ]


def who_may(face: Face) -> str:
    return "everyone" if face.who == EVERYONE else ", ".join(name for name in WHO if name in face.who)


@pytest.mark.feature("parity")
def test_the_manual_lists_the_acts():
    page = manual.page("commands-over-ssh")
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \| (`[^|]+`) \| ([^|]+) \|$", page, re.MULTILINE)
    wanted = listed()
    assert rows == wanted, "\n".join(f"| {' | '.join(row)} |" for row in wanted)


def member_commands() -> dict[tuple[str, ...], click.Command]:
    return dict(commands(MEMBERS._root))


@pytest.mark.feature("parity")
def test_every_command_of_members_is_an_act():
    lines = {tuple(shlex.split(face.command)[: len(path)]) for path in member_commands() for face in FACES}
    assert [
        path for path in member_commands() if path not in lines and path[0] not in ("help", "plain")
    ] == []


@pytest.mark.feature("parity")
def test_every_json_is_looked_at():
    """What prints JSON prints the same over SSH as on the host (see `test_same_answer`)."""
    printing = {
        " ".join(path) for path, command in member_commands().items() if "as_json" in names_of(command)
    }
    assert printing <= {face.command for face in LOOKING if "--json" in face.line}


def names_of(command: click.Command) -> set[str | None]:
    return {parameter.name for parameter in command.params}


@pytest.mark.feature("parity")
def test_every_help_is_of_ssh(clinic):
    """The help of members' commands shows how they type them, and no place on the server."""
    with clinic.copy() as world:
        own = over_ssh(world, clinic.members["user"], ["help"]).out
        assert "  me  " in own
        assert not re.search(r"^  (user|practice|audit) |ssh gate user", own, re.MULTILINE), (
            "offered to someone without a role"
        )
        listed = over_ssh(world, clinic.members["support"], ["help"]).out
        assert re.search(r"^  user +Manage users\.$", listed, re.MULTILINE)
        assert re.search(r"^  policy +Show and change the account's policy\.$", listed, re.MULTILINE)
        assert "ssh gate user list" in listed
        assert "  commands-over-ssh  " in listed
        for path in member_commands():
            ended = over_ssh(world, clinic.members["user"], [*path, "--help"])
            assert (ended.status, ended.err) == (0, ""), path
            assert "twofold " not in ended.out, ended.out
            assert not re.search(r"--(home|master-key|account|output)\b|twofold\.toml|/var/lib", ended.out), (
                path
            )
            assert "ssh gate" in ended.out, path
