"""Members' commands for themselves, run in this process on a real store: at a terminal or from a pipe."""

import asyncio
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from support.database import World

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.results import FreshProofNeeded
from sshserver.session.streams import Streams
from tui.cli.caller import Caller
from tui.cli.code_dialogue import give_proof
from tui.cli.commands.me import me
from tui.cli.streams import using

Answer = str | Callable[[str], str]
"""What is typed, or what makes it from all that was shown before."""


@dataclass
class OwnCaller(Caller):
    """Somebody whose session is open on the store of a world."""

    world: World
    actor: Member
    carriers: Carriers

    @property
    def store(self) -> Any:
        return self.world.store

    def run(self, operation: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._proving(lambda: self.world.run(operation, self.actor, *args, **kwargs))

    def wait(self, work: Any, /, *args: Any, **kwargs: Any) -> Any:
        return asyncio.run(work(*args, **kwargs))

    def wait_until_stopped(self, work: Any) -> Any:
        return asyncio.run(work(lambda: True))

    def compute(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    def command(self, words: str) -> str:
        return words

    def _proving(self, act: Callable[[], Any]) -> Any:
        result = act()
        if isinstance(result, FreshProofNeeded):
            give_proof(self, result)
            return act()
        return result


@dataclass(frozen=True)
class Shown:
    """How a command ended, and what it wrote: `all` is both streams in order, with what was asked."""

    status: int
    out: str
    err: str
    all: str


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


def run_me(
    world: World,
    member: Member,
    *arguments: str,
    types: Sequence[Answer] | None = None,
    stdin: bytes = b"",
    columns: int | None = None,
    encoding: str = "utf-8",
    carriers: Carriers | None = None,
) -> Shown:
    """Run `me` with arguments: at a terminal where something is typed, otherwise with standard input."""
    out, err, both = bytearray(), bytearray(), bytearray()
    stdout, stderr = (
        io.TextIOWrapper(_Both(kept, both), encoding, "backslashreplace", write_through=True)
        for kept in (out, err)
    )
    answers = iter(types or ())

    def ask(prompt: str, hidden: bool = False, kept: bool = False) -> str:
        stderr.write(prompt)
        answer = next(answers, None)
        if answer is None:
            raise EOFError
        typed = answer if isinstance(answer, str) else answer(both.decode(encoding))
        stderr.write("\n" if hidden else f"{typed}\n")
        return typed

    streams = Streams(
        io.BytesIO(stdin), stdout, stderr, None if types is None else ask, columns and (lambda: (columns, 24))
    )
    with using(streams):
        status = _status(OwnCaller(world, member, carriers or Carriers()), arguments, stderr)
    assert types is None or next(answers, None) is None, "not everything was asked for"
    return Shown(status, out.decode(encoding), err.decode(encoding), both.decode(encoding))


def _status(caller: OwnCaller, arguments: Sequence[str], stderr: io.TextIOWrapper) -> int:
    try:
        with me.make_context("me", list(arguments), obj=caller) as context:
            me.invoke(context)
    except click.UsageError as error:
        stderr.write(f"{error.format_message()}\n")
        return 2
    except click.ClickException as error:
        stderr.write(f"{error.format_message()}\n")
        return 1
    except click.Abort:
        stderr.write("Cancelled.\n")
        return 1
    return 0


def lines_over(shown: Shown, width: int) -> Iterator[str]:
    """Return the lines that are too long, but for what cannot be broken."""
    for line in shown.all.splitlines():
        if len(line) > width and not any(len(word) > width - 4 for word in line.split()):
            yield line
