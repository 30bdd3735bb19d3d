"""Members' commands, run in this process on a real store: at a terminal or from a pipe, by no connection."""

import asyncio
import io
import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from support.database import World

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.signin import admission
from data.operations.signin.admission import Session
from data.rules.domain_types import Application
from data.rules.policy import SignedIn
from sshserver.command_streams import Streams
from tui.cli.member.caller import MemberCaller
from tui.cli.over_ssh.runner import MemberCommands
from tui.cli.over_ssh.tree import PROGRAM
from tui.cli.running import outcome
from tui.cli.streams import using

Answer = str | Callable[[str], str]
"""What is typed, or what makes it from all that was shown before."""


@cache
def _commands() -> MemberCommands:
    """Make the tree of commands, once: it takes longer than most tests."""
    nobody: Any = None
    return MemberCommands(nobody, Carriers())


@dataclass(frozen=True)
class Shown:
    """How a command ended, and what it wrote: `all` is both streams in order, with what was asked."""

    status: int
    out: str
    err: str
    all: str

    def says(self, *words: str) -> bool:
        """Whether all of these were shown, however the lines are broken."""
        flat = " ".join(self.all.split())
        return all(word in flat for word in words)

    def is_readable(self, columns: int = 40) -> bool:
        """Whether nothing is an escape sequence, and each line fits; addresses and keys stay whole."""
        long = [line for line in self.all.splitlines() if len(line) > columns]
        whole = [line for line in long if re.fullmatch(r" *(otpauth://|SHA256:)\S+", line)]
        return self.all.replace("\n", "").isprintable() and long == whole


class _Lines(io.BytesIO):
    """Standard input from a program that answers line by line."""

    def __init__(self, answers: Sequence[Answer], shown: Callable[[], str]) -> None:
        super().__init__()
        self._answers = iter(answers)
        self._shown = shown

    def readline(self, _limit: int | None = None, /) -> bytes:
        answer = next(self._answers, None)
        if answer is None:
            return b""
        return (answer if isinstance(answer, str) else answer(self._shown())).encode() + b"\n"


class _Both(io.RawIOBase):
    """Keeps what is written to a stream, and to both together."""

    def __init__(self, *kept: bytearray) -> None:
        self._kept = kept

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        for kept in self._kept:
            kept.extend(data)
        return len(data)


def run_me(world: World, member: Member, *arguments: str, **options: Any) -> Shown:
    """Run `me` with arguments (see `run_as`)."""
    return run_as(world, member, "me", *arguments, **options)


def run_as(
    world: World,
    member: Member,
    *arguments: str,
    types: Sequence[Answer] | None = None,
    stdin: bytes | Sequence[Answer] = b"",
    columns: int | None = None,
    encoding: str = "utf-8",
    carriers: Carriers | None = None,
    act: Callable[[MemberCaller], None] | None = None,
    is_plain: bool = False,
) -> Shown:
    """Run a command as a member: at a terminal where something is typed, otherwise with standard input.

    Standard input is bytes, or lines that a program writes when it has read what is shown. What a prompt
    does by itself is an `act` in place of a command.
    """
    out, err, both = bytearray(), bytearray(), bytearray()
    stdout, stderr = (
        io.TextIOWrapper(_Both(kept, both), encoding, "backslashreplace", write_through=True)
        for kept in (out, err)
    )
    answers = iter(types or ())

    def shown() -> str:
        return both.decode(encoding)

    def ask(prompt: str, hidden: bool = False, kept: bool = False) -> str:
        stderr.write(prompt)
        answer = next(answers, None)
        if answer is None:
            raise EOFError
        typed = answer if isinstance(answer, str) else answer(shown())
        stderr.write("\n" if hidden else f"{typed}\n")
        return typed

    streams = Streams(
        io.BytesIO(stdin) if isinstance(stdin, bytes) else _Lines(stdin, shown),
        stdout,
        stderr,
        None if types is None else ask,
        None if columns is None else lambda: (columns, 24),
        is_plain=is_plain,
    )
    session = _session(world, member)
    ended = _act(world, session, act, streams) if act else _run(world, session, arguments, streams, carriers)
    status = asyncio.run(ended)
    assert types is None or next(answers, None) is None, "not everything was asked for"
    return Shown(status, out.decode(encoding), err.decode(encoding), shown())


def _session(world: World, member: Member) -> Session:
    """Return a session as the server has it after the sign-in."""
    unfinished = world.run(admission.unfinished_session, member)
    if isinstance(unfinished, Session):
        return unfinished
    now = world.clock.now
    return Session(member.session_id, 0, "", Application.SSH, "192.0.2.1", now, SignedIn())


async def _run(
    world: World, session: Session, arguments: Sequence[str], streams: Streams, carriers: Carriers | None
) -> int:
    commands = copy(_commands())
    commands._store, commands._carriers = world.store, carriers or Carriers()
    return await commands.run(session, arguments, streams)


async def _act(world: World, session: Session, act: Callable[[MemberCaller], None], streams: Streams) -> int:
    loop = asyncio.get_running_loop()
    here = MemberCaller(world.store, Member(session.id), Carriers(), loop, PROGRAM, session)

    def work() -> int:
        with using(streams):
            return outcome(lambda: act(here))

    return await asyncio.to_thread(work)
