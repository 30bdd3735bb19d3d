"""The channels of one connection (RFC 4254): each is a session or a jump, and counts for its user."""

import asyncio
from functools import partial
from typing import Any

from data.operations.signin.admission import Session
from data.rules.protocol_misuse import Misuse
from sshserver.limits.per_user import ConcurrencyLimit
from sshserver.server_context import ServerContext
from sshserver.session.app_session import AppSession
from sshserver.signin.conversation import Conversation
from sshserver.signin.forwarding import Forwarding
from sshserver.signin.transport import Transport


class Channels:
    """Opens sessions for the admitted user, and closes a connection without sessions."""

    def __init__(self, context: ServerContext[Any], transport: Transport, conversation: Conversation) -> None:
        """Open no channel before `conversation` has a session."""
        self._context = context
        self._limits = context.limits
        self._transport = transport
        self._conversation = conversation
        self._unused: asyncio.TimerHandle | None = None
        self._held: set[str] = set()
        self.sessions: set[AppSession] = set()
        self.forwarding = Forwarding(context, transport, conversation, self._unused_again, self._unanswered)

    def begin(self, *, follows_command: bool = False) -> None:
        """Start waiting for a session: between commands for as long as an idle session may last."""
        self.end()
        seconds = self._limits.idle_minutes * 60 if follows_command else self._limits.unused_seconds
        self._unused = asyncio.get_running_loop().call_later(seconds, self._close_unused)

    def end(self) -> None:
        """Stop waiting for a session."""
        if self._unused is not None:
            self._unused.cancel()
            self._unused = None

    def open(self) -> AppSession | None:
        """Open a channel; return None if no one was admitted or too many are open."""
        admission = self._conversation.session
        if admission is None:
            return None
        is_full = len(self.sessions) >= self._limits.sessions_per_connection
        if is_full or not self._context.channels.take(admission.user_id):
            self._transport.misused(Misuse.CHANNELS)
            return None
        session = AppSession(
            admission,
            self._context.make_app,
            self._limits,
            run_command=self._context.run_command,
            claim=partial(self._claim, admission),
            turn=partial(self._context.drawing.turn, admission.user_id),
            charge=partial(self._context.input.charge, admission.user_id),
            on_misuse=self._transport.misused,
            on_end=partial(self._ended, admission),
        )
        self.sessions.add(session)
        for cause in self._held:
            session.flow.pause(cause)
        return session

    def hold(self, cause: str) -> None:
        """Draw nothing and read no target because of `cause`, such as a full socket."""
        self._held.add(cause)
        self.forwarding.hold(cause)
        for session in self.sessions:
            session.flow.pause(cause)

    def release(self, cause: str) -> None:
        """Go on, once the last cause is gone."""
        self._held.discard(cause)
        self.forwarding.release(cause)
        for session in self.sessions:
            session.flow.resume(cause)

    def _claim(self, admission: Session, is_command: bool) -> bool:
        if not self._counted(is_command=is_command).take(admission.user_id):
            self._transport.telemetry.limited("commands_per_user" if is_command else "sessions_per_user")
            return False
        self._transport.telemetry.session_opened(admission.id)
        return True

    def _ended(self, admission: Session, session: AppSession) -> None:
        self.sessions.discard(session)
        self._context.channels.give_back(admission.user_id)
        if not session.claimed:
            return  # It was no use of the connection, whose clock goes on.
        self._counted(is_command=session.is_command).give_back(admission.user_id)
        self._transport.telemetry.session_ended(admission.id, session.ended_because)
        if not self._is_used and self._transport.ssh is not None:
            self.begin(follows_command=session.is_command)

    def _unused_again(self) -> None:
        """Wait for as long as between commands: `ssh` may keep a connection for the next jump."""
        if not self._is_used:
            self.begin(follows_command=True)

    def _unanswered(self) -> None:
        """Disconnect a client that does not answer the close of a jump, unless it uses something else."""
        if not self._is_used:
            self._transport.abort()

    def _counted(self, *, is_command: bool) -> ConcurrencyLimit:
        return self._context.commands if is_command else self._context.sessions

    def _close_unused(self) -> None:
        self._unused = None
        if not self._is_used:
            self._transport.disconnect("The connection was closed because it was not used.")

    @property
    def _is_used(self) -> bool:
        """Whether an app runs or a jump is open; another channel does not keep the connection open."""
        return self.forwarding.is_used or any(session.claimed for session in self.sessions)
