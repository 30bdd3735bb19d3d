"""Running the commands of members, each in a thread of its own: reading standard input may take its time."""

import asyncio
import threading
from collections.abc import Sequence

from data.delivery.carriers import Carriers
from data.operations.actors import Member
from data.operations.signin.admission import Session
from data.rules.policy import SignedIn
from data.store import Store
from sshserver.session.streams import Streams
from tui.cli.main import cli
from tui.cli.member_caller import MemberCaller
from tui.cli.member_tree import PROGRAM, member_tree
from tui.cli.running import outcome
from tui.cli.streams import using

_USUAL_COLUMNS = 80


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
            status = self._run_here(caller, arguments, streams)
            loop.call_soon_threadsafe(_set_result, ended, status)

        threading.Thread(target=work, name="command", daemon=True).start()
        return await ended

    def _run_here(self, caller: MemberCaller, arguments: Sequence[str], streams: Streams) -> int:
        try:
            with using(streams):
                status = outcome(lambda: self._invoke(caller, arguments, streams))
                streams.stdout.flush()
                streams.stderr.flush()
        except BrokenPipeError:
            return 1
        return status

    def _invoke(self, caller: MemberCaller, arguments: Sequence[str], streams: Streams) -> object:
        with self._root.make_context(
            PROGRAM,
            list(arguments),
            obj=caller,
            terminal_width=streams.columns or _USUAL_COLUMNS,
            max_content_width=100,
        ) as context:
            return self._root.invoke(context)


def _set_result(future: asyncio.Future[int], result: int) -> None:
    if not future.done():
        future.set_result(result)
