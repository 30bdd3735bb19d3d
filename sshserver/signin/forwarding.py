"""The jumps of one connection: direct-tcpip channels (RFC 4254 section 7.2) to targets, and nothing else."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NoReturn

import asyncssh

from data.operations.actors import Member
from data.operations.results import Denied
from data.operations.signin.admission import Session
from data.operations.targets.jumps import JumpTarget, NotAmongTargets, find_target, open_jump
from data.rules.protocol_misuse import Misuse
from data.rules.safe_text import safe
from data.rules.target_addresses import why_not_address
from data.store import Store, StoreUnavailableError
from sshserver.compat.asyncssh_jumps import JumpChannel
from sshserver.limits.dialling import DialError
from sshserver.server_context import ServerContext
from sshserver.session.jump import CLIENT_LEFT, Jump
from sshserver.signin.conversation import Conversation
from sshserver.signin.transport import Transport
from sshserver.telemetry import crash_reports

_LONGEST_REFUSAL: Final = 1000
_SCANNING: Final = 20
"""Different hosts and ports that are no targets of its user, from which on a connection is misused."""
_NO_TARGETS: Final = "This server forwards nothing."
_TOO_MANY: Final = (
    "This connection has {0} open jumps, which is the limit. Close one, or open another connection."
)
_TOO_MANY_OF_USER: Final = "You have too many open jumps. Close one first."
_NO_FILES: Final = "The server can carry no more jumps now. Try again later."
_NO_DATABASE: Final = "The database is unavailable. Try again shortly."
_ENDED: Final = "The connection has ended."

Opening = tuple[JumpChannel, Coroutine[Any, Any, Jump]]
"""What asyncssh expects: the channel, and what opens its other side or raises why it does not."""


class _RefusedError(Exception):
    """A jump is not opened; the message is for its user, `reason` for the metrics."""

    def __init__(
        self, reason: str, message: str, code: int = asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code


class Forwarding:
    """Opens jumps for the admitted user, and ends them with the connection."""

    def __init__(
        self,
        context: ServerContext[Any],
        transport: Transport,
        conversation: Conversation,
        on_unused: Callable[[], None],
        on_unanswered: Callable[[], None],
    ) -> None:
        """Open nothing before `conversation` has a session; `on_unused` is called after the last jump.

        `on_unanswered` is called when the client has not answered the close of one for long.
        """
        self._context = context
        self._limits = context.limits
        self._transport = transport
        self._conversation = conversation
        self._on_unused = on_unused
        self._on_unanswered = on_unanswered
        self._dialling: set[asyncio.Task[Any]] = set()
        self._taken = 0
        self._ending = ""
        self._unknown: set[int] = set()
        self._held: set[str] = set()
        self._unanswered: set[Jump] = set()
        self.jumps: dict[Jump, int] = {}
        """The open jumps, each with its number."""
        self._counted: dict[Jump, tuple[int, int]] = {}

    @property
    def is_used(self) -> bool:
        """Whether a jump is open or being opened, other than one whose close the client does not answer."""
        return self._taken > len(self._unanswered)

    def request(self, host: str, port: int) -> Opening:
        """Take a client's request for a host and port.

        Raises:
            asyncssh.ChannelOpenError: with what the client shows, when it is refused at once.
        """
        admission, store, ssh = self._conversation.session, self._context.store, self._transport.ssh
        if admission is None or store is None or ssh is None:
            self._transport.misused(Misuse.FORWARDING)
            self._refuse(_RefusedError("denied", _NO_TARGETS))
        if self._taken >= self._limits.jumps_per_connection:
            self._refuse(_RefusedError("jumps_per_connection", _TOO_MANY.format(self._taken)))
        if not self._context.has_files_for_jumps:
            self._refuse(_RefusedError("open_files", _NO_FILES))
        if not self._context.jumps.take(admission.user_id):
            self._refuse(_RefusedError("jumps_per_user", _TOO_MANY_OF_USER))
        self._taken += 1
        return JumpChannel(ssh, self._limits.jump_window), self._open(admission, store, host, port)

    def hold(self, cause: str) -> None:
        """Read no target because of `cause`, not even one that is reached meanwhile."""
        self._held.add(cause)
        for jump in self.jumps:
            jump.hold(cause)

    def release(self, cause: str) -> None:
        """Read the targets again, once the last cause is gone."""
        self._held.discard(cause)
        for jump in self.jumps:
            jump.release(cause)

    def end(self, because: str | None = None) -> None:
        """End all jumps and open no other; at once if there is a reason, else because the client left."""
        self._ending = self._ending or because or CLIENT_LEFT
        for task in tuple(self._dialling):
            task.cancel()
        for jump in tuple(self.jumps):
            jump.end(self._ending, at_once=because is not None)

    def close(self, jump_id: int, because: str) -> None:
        """End one jump."""
        for jump, known in tuple(self.jumps.items()):
            if known == jump_id:
                jump.end(because, at_once=True)

    def carried(self) -> dict[int, tuple[int, int]]:
        """Count in the metrics what was carried since the last call; return the totals of those that did."""
        return {self.jumps[jump]: (jump.sent, jump.received) for jump in self.jumps if self._count(jump)}

    # How a jump is opened.

    async def _open(self, admission: Session, store: Store, host: str, port: int) -> Jump:
        jump: Jump | None = None
        try:
            jump = await self._opened(admission, store, host, port)
        except _RefusedError as refusal:
            self._refuse(refusal)
        except StoreUnavailableError:
            self._refuse(_RefusedError("unavailable", _NO_DATABASE, asyncssh.OPEN_CONNECT_FAILED))
        except asyncio.CancelledError:
            self._refuse(_RefusedError("ended", _ENDED, asyncssh.OPEN_CONNECT_FAILED))
        except Exception as error:  # noqa: BLE001 - asyncssh would end the whole connection.
            words = crash_reports.words_for(crash_reports.report(error, "Opening a jump"))
            self._refuse(_RefusedError("error", words, asyncssh.OPEN_CONNECT_FAILED))
        finally:
            if jump is None:
                self._give_back(admission)
        return jump

    async def _opened(self, admission: Session, store: Store, host: str, port: int) -> Jump:
        actor = Member(admission.id)
        target = await store.read(find_target, actor, host, port)
        if isinstance(target, NotAmongTargets):
            self._note_unknown(host, port)
            raise _RefusedError("unknown_target", target.message)
        if isinstance(target, Denied):
            raise _RefusedError("denied", target.message)
        dialled, address = await self._dial(store, target)
        try:
            # Once begun, this is not cancelled half-way: its row must be closed again.
            opening = self._context.start(store.run_with_others(open_jump, actor, target, address))
            jump_id = self._accepted(await asyncio.shield(opening))
        except BaseException:
            dialled.close()
            raise
        return await self._join(admission, dialled, target, jump_id)

    def _note_unknown(self, host: str, port: int) -> None:
        """Count a host and port that are no target of the user, each once, and misuse once for them all."""
        if len(self._unknown) < _SCANNING:
            self._unknown.add(hash((host, port)))
            if len(self._unknown) == _SCANNING:
                self._transport.misused(Misuse.SCANNING)

    def _accepted(self, jump_id: int | Denied) -> int:
        """Refuse what was denied in the end; close what no one waits for any more."""
        if isinstance(jump_id, Denied):
            raise _RefusedError("denied", jump_id.message)
        if self._ending:
            self._context.start(self._context.close_jump(jump_id, 0, 0, self._ending))
            raise _RefusedError("ended", _ENDED, asyncssh.OPEN_CONNECT_FAILED)
        return jump_id

    async def _join(
        self, admission: Session, dialled: socket.socket, target: JumpTarget, jump_id: int
    ) -> Jump:
        jump = Jump(
            self._limits,
            self._context.pieces,
            self._transport.carried.carry,
            self._ended,
            self._not_answered,
            partial(self._gone, admission),
        )
        for cause in self._held:
            jump.hold(cause)
        self.jumps[jump] = jump_id
        self._transport.telemetry.jump_opened(jump_id, target.name)
        await asyncio.get_running_loop().create_connection(lambda: jump.target, sock=dialled)
        return jump

    async def _dial(self, store: Store, target: JumpTarget) -> tuple[socket.socket, str]:
        """Reach a target, unless the connection ends meanwhile."""
        networks = store.services.forwarding

        def why_not(address: str, is_own: bool) -> str | None:
            own = (address,) if is_own else ()
            return why_not_address(address, by_operator=target.by_operator, networks=networks, own=own)

        dialling = self._context.start(
            self._context.dialler.dial(target.name, target.host, target.port, why_not)
        )
        self._dialling.add(dialling)
        dialling.add_done_callback(self._dialling.discard)
        try:
            return await dialling
        except DialError as error:
            code = (
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
                if error.reason == "address"
                else asyncssh.OPEN_CONNECT_FAILED
            )
            raise _RefusedError(error.reason, str(error), code) from None

    def _refuse(self, refusal: _RefusedError) -> NoReturn:
        self._transport.telemetry.jump_refused(refusal.reason)
        raise asyncssh.ChannelOpenError(refusal.code, safe(str(refusal), _LONGEST_REFUSAL)) from None

    # How it ends.

    def _ended(self, jump: Jump) -> None:
        self._count(jump)
        self._counted.pop(jump, None)
        jump_id = self.jumps.pop(jump)
        because = jump.ended_because
        self._context.start(self._context.close_jump(jump_id, jump.sent, jump.received, because))
        self._transport.telemetry.jump_closed(jump_id, jump.sent, jump.received, because)

    def _not_answered(self, jump: Jump) -> None:
        """Keep it counted, but not as a use of its connection: its client may only not read it now."""
        self._unanswered.add(jump)
        self._on_unanswered()

    def _gone(self, admission: Session, jump: Jump) -> None:
        self._unanswered.discard(jump)
        self._give_back(admission)

    def _give_back(self, admission: Session) -> None:
        self._taken -= 1
        self._context.jumps.give_back(admission.user_id)
        if not self.is_used and self._transport.ssh is not None:
            self._on_unused()

    def _count(self, jump: Jump) -> bool:
        """Count in the metrics what a jump carried since this was last called; return whether it did."""
        sent, received = self._counted.get(jump, (0, 0))
        self._counted[jump] = (jump.sent, jump.received)
        self._context.telemetry.metrics.jump_carried(jump.sent - sent, jump.received - received)
        return (jump.sent, jump.received) != (sent, received)
