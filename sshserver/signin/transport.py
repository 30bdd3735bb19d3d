"""The transport of one connection (RFC 4253): its limits, its misuse and its end."""

import asyncio
from typing import Any, Final

import asyncssh

from data.rules.protocol_misuse import Misuse
from sshserver.compat import asyncssh_shim
from sshserver.limits.fairness import CarriedInput
from sshserver.server_context import ServerContext
from sshserver.signin.conversation import Conversation

_ENDS: Final = (asyncssh.DisconnectError, OSError, asyncio.CancelledError)
"""How connections end without misuse; any other exception arose while a packet was processed."""
_VIOLATIONS: Final = (
    asyncssh.ProtocolError,
    asyncssh.ProtocolNotSupported,
    asyncssh.MACError,
    asyncssh.CompressionError,
    asyncssh.KeyExchangeFailed,
    asyncssh.IllegalUserName,
    asyncssh.ServiceNotAvailable,
)


class Transport:
    """Bounds what a client sends, counts its misuse, and closes its connection."""

    def __init__(self, context: ServerContext[Any], conversation: Conversation) -> None:
        """Serve a connection of `context`; `conversation` knows its user."""
        self._context = context
        self._limits = context.limits
        self._conversation = conversation
        self._received = 0
        self._audited: set[Misuse] = set()
        self.ssh: asyncssh.SSHServerConnection | None = None
        """asyncssh's connection, or None once it is lost."""
        self.address = ""
        self.gone = asyncio.Event()
        self.telemetry = context.telemetry.connection()
        self.carried = CarriedInput(context.limits.read_bytes, context.limits.carried_bytes)
        """What jumps carry on of the input."""

    def made(self, ssh: asyncssh.SSHServerConnection) -> None:
        """Use this connection, before anything is read from it."""
        self.ssh = ssh
        self.address = str((ssh.get_extra_info("peername") or ("",))[0])
        self.telemetry.opened(self.address)

    def lost(self, because: Exception | None) -> None:
        """Count an end that breaks the protocol as misuse."""
        if isinstance(because, _VIOLATIONS) or (because is not None and not isinstance(because, _ENDS)):
            self.misused(Misuse.PROTOCOL)
        self.ssh = None
        self.gone.set()
        self.telemetry.closed(self._conversation.wrong_answers, self._conversation.unknown_keys)

    def misused(self, what: Misuse) -> None:
        """Count misuse, and audit it once if the user is known. A flood ends the connection."""
        self._context.misuses[what] += 1
        self.telemetry.refused(what)
        user_id = self._conversation.user_id
        if user_id is not None and what not in self._audited:
            self._audited.add(what)
            self._context.start(self._context.record_misuse(user_id, self.address, what))
        if what is Misuse.FLOOD:
            self.abort()

    def speaks_no_ssh(self) -> None:
        """Close a connection that uses another protocol."""
        self.misused(Misuse.PROTOCOL)
        self.abort()

    def takes(self, received: int, waiting: int, unsent: int) -> bool:
        """Accept input within limits: on its total before admission, on what waits afterwards."""
        self._received += received
        if self._conversation.session is not None:
            fits = waiting <= self._limits.received_bytes and unsent <= self._limits.unsent_bytes
        else:
            fits = self._received <= self._limits.sign_in_bytes
        if not fits:
            self.misused(Misuse.FLOOD)
        return fits

    def charge(self, seconds: float, received: int) -> float:
        """Count the seconds that input took; before admission, its amount is limited instead."""
        session = self._conversation.session
        if session is None:
            return 0.0
        share = self.carried.charged_share(received)
        return self._context.input.charge(session.user_id, seconds * share) if share else 0.0

    @property
    def read_bytes(self) -> int:
        """How many bytes to read before others get a turn."""
        return self.carried.read_bytes

    def disconnect(self, reason: str) -> None:
        """Close the connection with a reason."""
        if self.ssh is not None:
            asyncssh_shim.look_no_further(self.ssh)
            self.ssh.disconnect(asyncssh.DISC_BY_APPLICATION, reason)

    def abort(self) -> None:
        """Close the connection at once, without a reason, and drop unsent data."""
        if self.ssh is not None:
            asyncssh_shim.look_no_further(self.ssh)
            self.ssh.abort()
