"""The plain mode in this terminal, with its own sign-in; without one, lines of standard input are answers."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from getpass import getpass
from typing import Any, Final, TypeVar

from data.delivery.notices import keep_sending
from data.operations.actors import Member
from data.operations.maintenance import doctor_facts
from data.operations.signin import first_factor, sessions, worker_sessions
from data.operations.signin.admission import Admitted, Session, TurnedAway
from data.operations.signin.first_factor import CodeNeeded, NotJudged
from data.periodic import periodically
from data.rules.domain_types import Application
from data.rules.source_addresses import Origin
from data.storage.home import Home
from data.wording.words import END_WARNING, SIGNED_OUT, WRONG_NAME_OR_PASSWORD, ends_soon
from sshserver.command_streams import CommandStoppedError, Interruption
from sshserver.session import idle
from sshserver.session.idle import IdleWatch
from sshserver.workers.heartbeat import WorkerIdentity, keep_present
from tui.cli.main import cli
from tui.cli.member.caller import MemberCaller
from tui.cli.member.code_dialogue import sign_in_with_code
from tui.cli.open_installation import (
    Installation,
    installation,
    refuse,
    refuse_lost,
    without_log_of_deliveries,
)
from tui.cli.over_ssh.tree import member_tree
from tui.cli.plain.prompt import PlainPrompt
from tui.cli.prompts import reply, tell
from tui.cli.streams import streams, using

R = TypeVar("R")
_LONGEST_LINE: Final = 4096
_LOOK_SECONDS: Final = 2.0
"""How often it is checked whether the session was ended elsewhere."""


def run_plain_mode(home: Home) -> None:
    """Sign in and run a prompt; sign-ins belong to the application `local`."""
    home.check_owner()
    with installation(home) as here, without_log_of_deliveries(), _event_loop() as loop:
        here.store.services.check_up.findings = here.store.run_now(doctor_facts.check_quickly)
        questions = _Questions()
        terminal = replace(streams(), ask=questions.ask, is_plain=True, interruption=questions.interruption)
        with using(terminal), questions.stopping_commands():
            _Visit(here, loop, questions).run()
        refuse_lost(here)


@contextlib.contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own: this one waits for what is typed."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="event loop", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Questions:
    """Asks in this terminal, edited as this system does; Ctrl+C stops a command, not the session."""

    def __init__(self) -> None:
        self.interruption = Interruption()
        self.on_answer: Callable[[], None] = lambda: None
        self._asking: str | None = None
        self._history = _history()

    @contextlib.contextmanager
    def stopping_commands(self) -> Iterator[None]:
        """Have Ctrl+C and `stop` interrupt a question; a command looks by itself."""
        before = signal.signal(signal.SIGINT, lambda _number, _frame: self._interrupted())
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupted(self) -> None:
        self.interruption.set(KeyboardInterrupt())
        if self._asking is not None:
            raise KeyboardInterrupt

    def stop(self, reason: str) -> None:
        """End everything, from another thread; `reason` is said."""
        self.interruption.set(CommandStoppedError(reason))
        os.kill(os.getpid(), signal.SIGINT)

    def tell(self, line: str) -> None:
        """Show a line, from another thread; a question in this one is shown again."""
        typed = self._history.get_line_buffer() if self._history is not None else ""
        again = "" if self._asking is None else f"{self._asking}{typed}"
        sys.stdout.write(f"\n{line}\n{again}")
        sys.stdout.flush()

    def ask(self, prompt: str, hidden: bool = False, kept: bool = False) -> str:
        """Show a prompt and return the line that is typed, or is next in standard input.

        Raises:
            EOFError: at Ctrl+D and at the end of the input.
            KeyboardInterrupt: at Ctrl+C.
        """
        try:
            self._asking = prompt
            self.interruption.check()
            line = self._read(prompt, hidden=hidden)
        except KeyboardInterrupt:
            self._asking = None
            sys.stdout.write("\n")
            self.interruption.check()
            raise
        finally:
            self._asking = None
            self.on_answer()
        if kept and line.strip() and self._history is not None:
            self._history.add_history(line)
        return line

    def _read(self, prompt: str, *, hidden: bool) -> str:
        if not sys.stdin.isatty():
            sys.stdout.write(f"{prompt}\n")
            line = sys.stdin.readline(_LONGEST_LINE)
            if not line:
                raise EOFError
            return line.rstrip("\r\n")
        try:
            return getpass(prompt) if hidden else input(prompt)
        except UnicodeDecodeError:
            return "\ufffd"


def _history() -> Any:
    """Return the module that edits lines, where this Python has it; it keeps nothing by itself."""
    try:
        import readline  # noqa: PLC0415 - not every Python has it.
    except ImportError:
        return None
    readline.set_auto_history(False)
    return readline


class _Visit:
    """One sign-in on the host, to its end."""

    def __init__(self, here: Installation, loop: asyncio.AbstractEventLoop, questions: _Questions) -> None:
        self._here = here
        self._loop = loop
        self._questions = questions
        self._worker = secrets.token_hex(8)

    def run(self) -> None:
        store = self._here.store
        self._do(store.run(worker_sessions.beat, self._worker, worker_sessions.APP_NODE))
        store.lost.add_done_callback(lambda _lost: self._questions.stop("The database was lost."))
        try:
            with self._beside(self._present(), keep_sending(store, self._here.carriers)):
                session = self._sign_in()
                try:
                    self._converse(session)
                finally:
                    self._do(store.run(sessions.end_session, session.id))
        finally:
            self._do(store.run(worker_sessions.leave, self._worker))

    def _converse(self, session: Session) -> None:
        here = self._here
        member = MemberCaller(
            here.store, Member(session.id), here.carriers, self._loop, "", session, leads_on=True
        )
        try:
            with self._beside(self._watch(session)):
                PlainPrompt(member_tree(cli), member, session, self._questions.ask).run()
            self._questions.interruption.check()
        except CommandStoppedError as stopped:
            refuse(str(stopped))
        tell(SIGNED_OUT)

    def _sign_in(self) -> Session:
        """Ask for both factors until they are right."""
        origin = Origin(Application.LOCAL, "local", self._worker)
        here = self._here
        while True:
            name = reply("User name: ")
            password = reply("Password: ", hidden=True)
            candidate = here.wait(here.store.read, first_factor.find_candidate, name, origin)
            result: Any = here.wait(first_factor.prove_password, here.store, candidate, password)
            if isinstance(result, CodeNeeded):
                result = sign_in_with_code(here, result.attempt)
            match result:
                case Admitted(session):
                    return session
                case TurnedAway(reason):
                    refuse(reason)
                case NotJudged():
                    tell(result.message)
                case _:
                    tell(WRONG_NAME_OR_PASSWORD)

    async def _present(self) -> None:
        identity = WorkerIdentity(self._worker, worker_sessions.APP_NODE)
        await keep_present(self._here.store, identity, report=_leave_unsaid)

    async def _watch(self, session: Session) -> None:
        """End the session when nobody types any more, or when it was ended elsewhere."""
        limits, store = self._here.settings.limits, self._here.store
        watch = IdleWatch(
            limits.idle_minutes * 60,
            limits.idle_warning_seconds,
            lambda: self._questions.tell(idle.warning(limits)),
            lambda: self._questions.stop(idle.farewell(limits)),
        )
        self._questions.on_answer = watch.touch
        left = session.started_at + store.services.longest_session - store.services.clock()
        warning = self._loop.call_later(
            max(left - END_WARNING, left * 0).total_seconds(), self._questions.tell, ends_soon(left)
        )

        async def look() -> None:
            over = await store.read(sessions.ended_among, [session.id])
            if reason := over.get(session.id):
                self._questions.stop(reason)

        try:
            await periodically(look, _LOOK_SECONDS, "Watching", _leave_unsaid)
        finally:
            watch.stop()
            warning.cancel()

    @contextlib.contextmanager
    def _beside(self, *work: Coroutine[Any, Any, None]) -> Iterator[None]:
        """Run work in the background."""
        tasks = [asyncio.run_coroutine_threadsafe(each, self._loop) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    def _do(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _leave_unsaid(_error: BaseException, _what: str) -> None:
    """Log nothing: the next command says that the database does not answer."""
