"""Running the commands of members, each in a thread of its own: reading standard input may take its time."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.signin.admission import Session
from data.rules.policy import SignedIn
from data.store import Store
from sshserver.session.streams import Streams
from sshserver.telemetry import crash_reports
from tui.cli.main import cli
from tui.cli.member_caller import MemberCaller
from tui.cli.member_tree import PROGRAM, member_tree
from tui.cli.running import is_explained, outcome, words_for
from tui.cli.streams import using

_USUAL_COLUMNS: Final = 80
_FAILED: Final = 1


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
        caller = MemberCaller(
            self._store,
            Member(session.id),
            self._carriers,
            loop,
            program=PROGRAM,
            restricted=not isinstance(session.step, SignedIn),
        )

        def work() -> None:
            status = self._status(caller, arguments, streams)
            with suppress(RuntimeError):  # The server has ended meanwhile.
                loop.call_soon_threadsafe(_set_result, ended, status)

        threading.Thread(target=work, name="command", daemon=True).start()
        return await ended

    def _status(self, caller: MemberCaller, arguments: Sequence[str], streams: Streams) -> int:
        """Run a command in this thread; a reader who is gone is told nothing."""
        try:
            with using(streams):
                return outcome(lambda: self._invoke(caller, arguments, streams), _words_for)
        except (BrokenPipeError, KeyboardInterrupt):
            return _FAILED
        except Exception as error:  # noqa: BLE001 - the channel waits for a status.
            crash_reports.report(error, "A command")
            return _FAILED

    def _invoke(self, caller: MemberCaller, arguments: Sequence[str], streams: Streams) -> object:
        with self._root.make_context(
            PROGRAM,
            list(arguments),
            obj=caller,
            terminal_width=streams.columns or _USUAL_COLUMNS,
            max_content_width=100,
        ) as context:
            result = self._root.invoke(context)
        for stream in (streams.stdout, streams.stderr):
            stream.flush()
        return result


def _words_for(error: BaseException) -> str:
    """Put an error into words; an unexpected one is reported to the operator."""
    if isinstance(error, Exception) and not is_explained(error):
        reference = crash_reports.report(error, "A command")
        return f"The command failed. Give your administrator this reference: {reference}"
    return words_for(error)


def _set_result(future: asyncio.Future[int], result: int) -> None:
    if not future.done():
        future.set_result(result)
