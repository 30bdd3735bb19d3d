"""Running the commands of members, each in a thread of its own: reading standard input may take its time."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Final

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.signin.admission import Session
from data.store import Store
from data.wording.words import END_WARNING, ends_soon
from sshserver.command_streams import Streams
from sshserver.session.command_session import PLAIN_MODE
from sshserver.telemetry import crash_reports
from tui.cli.main import cli
from tui.cli.member.caller import MemberCaller
from tui.cli.member.own_session import tell_days_left
from tui.cli.over_ssh.tree import PROGRAM, member_tree
from tui.cli.running import invoke, outcome, words_for_member
from tui.cli.streams import using

_FAILED: Final = 1
_REASON: Final = "--reason"
_COMMAND_WORDS: Final = 2
"""How many words name a command that takes a reason."""


class MemberCommands:
    """Runs commands for the members of one store; `carriers` send the codes that they must confirm with."""

    def __init__(self, store: Store, carriers: Carriers) -> None:
        """Make the tree of commands, so that no command has to wait for it."""
        self._store = store
        self._carriers = carriers
        self._root = member_tree(cli)

    async def run(self, session: Session, arguments: Sequence[str], streams: Streams) -> int:
        """Run a command in a thread until it ends; return its exit status."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        caller = MemberCaller(self._store, Member(session.id), self._carriers, loop, PROGRAM, session)

        def work() -> None:
            status = self._status(caller, session, arguments, streams)
            with suppress(RuntimeError):  # The server has ended meanwhile.
                loop.call_soon_threadsafe(_set_result, ended, status)

        threading.Thread(target=work, name="command", daemon=True).start()
        tell = streams.tell if tuple(arguments) == PLAIN_MODE else None
        with nullcontext() if tell is None else self._warning(session, tell):
            return await ended

    @contextmanager
    def _warning(self, session: Session, tell: Callable[[str], None]) -> Iterator[None]:
        """Warn a member, active or not, before the session reaches its longest time, which ends it."""
        left = session.started_at + self._store.services.longest_session - self._store.services.clock()
        seconds = max((left - END_WARNING).total_seconds(), 0)
        timer = asyncio.get_running_loop().call_later(seconds, tell, ends_soon(left))
        try:
            yield
        finally:
            timer.cancel()

    def _status(
        self, caller: MemberCaller, session: Session, arguments: Sequence[str], streams: Streams
    ) -> int:
        """Run a command in this thread; a reader who is gone is told nothing."""
        try:
            with using(streams):
                if tuple(arguments) != PLAIN_MODE:  # It tells what is to be told by itself.
                    tell_days_left(caller, session)
                words = _with_whole_reason(arguments)
                return outcome(lambda: invoke(self._root, PROGRAM, caller, words), words_for_member)
        except (BrokenPipeError, KeyboardInterrupt):
            return _FAILED
        except Exception as error:  # noqa: BLE001 - the channel waits for a status.
            crash_reports.report(error, "A command")
            return _FAILED


def _with_whole_reason(words: Sequence[str]) -> list[str]:
    """Take all words after `--reason` as one text: the shell that the command was typed in took its quotes.

    This holds behind other arguments, so that names may still follow a reason that comes first.
    """
    start = words.index(_REASON) + 1 if _REASON in words else len(words)
    if start <= _COMMAND_WORDS + 1 or start == len(words):
        return list(words)
    end = next((i for i in range(start, len(words)) if words[i].startswith("-")), len(words))
    return [*words[:start], " ".join(words[start:end]), *words[end:]] if end > start else list(words)


def _set_result(future: asyncio.Future[int], result: int) -> None:
    if not future.done():
        future.set_result(result)
