"""One SSH connection: asyncssh asks one object about everything, and this passes each question on.

It passes them to the three layers of SSH: the transport, the user's authentication and the channels. They
share the conversation, which alone knows what was proven and by whom.
"""

from collections.abc import Sequence

import asyncssh

from data.rules.protocol_misuse import Misuse
from sshserver.compat import asyncssh_shim
from sshserver.server_context import ServerContext
from sshserver.session.app_session import AppSession
from sshserver.signin.conversation import Ask, Conversation, Reply
from sshserver.signin.forwarding import Opening
from sshserver.signin.ssh_channels import Channels
from sshserver.signin.transport import Transport
from sshserver.signin.userauth import UserAuth

_Challenge = bool | tuple[str, str, str, list[tuple[str, bool]]]
"""asyncssh's form: name, instruction, language and prompts, or whether the exchange succeeded."""


class Connection(asyncssh.SSHServer):
    """The server's side of one connection."""

    def __init__(self, context: "ServerContext[Connection]") -> None:
        """Serve a connection of `context`."""
        self._context = context
        self._conversation = Conversation(context.limits)
        self.transport = Transport(context, self._conversation)
        self.userauth = UserAuth(context, self.transport, self._conversation)
        self.channels = Channels(context, self.transport, self._conversation)

    @property
    def session_id(self) -> int | None:
        """The number of the session that this connection was admitted to, or None."""
        session = self._conversation.session
        return session.id if session else None

    # What asyncssh calls.

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Install our rules before anything is read, and start the clock."""
        try:
            asyncssh_shim.install(conn, self._context.limits, self.transport, self.userauth, self.channels)
        except BaseException:
            conn.abort()
            raise
        self.transport.made(conn)
        self._context.connections.add(self)
        self.userauth.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, and end the session if one was opened."""
        self.transport.lost(exc)
        self._context.connections.discard(self)
        self.userauth.end()
        self.channels.end()
        self.channels.forwarding.end()

    async def begin_auth(self, username: str) -> bool:
        """Look up the name. Authentication is always required."""
        await self.userauth.begin(username)
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer public keys until a first factor is proven."""
        return self._conversation.offers_key

    def kbdint_auth_supported(self) -> bool:
        """Offer keyboard-interactive for the password, the code, or the reason for a refusal."""
        return self._conversation.offers_questions

    def password_auth_supported(self) -> bool:
        """Never offer passwords: asyncssh would judge them on the event loop before we see them."""
        return False

    async def get_kbdint_challenge(self, _username: str, _lang: str, _submethods: str) -> _Challenge:
        """Start an exchange."""
        return _challenge(await self.userauth.open_exchange())

    async def validate_kbdint_response(self, _username: str, responses: Sequence[str]) -> _Challenge:
        """Judge the answers and return the next question."""
        return _challenge(await self.userauth.judge(responses))

    def auth_completed(self) -> None:
        """Continue with channels. This must be synchronous: a channel may be opened right after it."""
        if self.userauth.complete():
            self.channels.begin()

    def session_requested(self) -> AppSession | bool:
        """Open a channel for the admitted user."""
        return self.channels.open() or False

    def connection_requested(
        self, dest_host: str, dest_port: int, _orig_host: str, _orig_port: int
    ) -> Opening:
        """Open a jump to a target."""
        return self.channels.forwarding.request(dest_host, dest_port)

    def server_requested(self, *_what: object, **_named: object) -> bool:
        """Refuse all other forwarding: back to the client, to sockets and to network interfaces."""
        self.transport.misused(Misuse.FORWARDING)
        return False

    unix_connection_requested = unix_server_requested = server_requested
    tun_requested = tap_requested = server_requested


def _challenge(reply: Ask | Reply) -> _Challenge:
    """Return a reply in asyncssh's form."""
    if isinstance(reply, Reply):
        return reply is Reply.SUCCESS
    prompts = [] if reply.prompt is None else [(_ascii(reply.prompt), False)]
    return ("", _ascii(reply.instruction), "", prompts)


def _ascii(words: str) -> str:
    """Return a challenge in characters that every client shows.

    OpenSSH shows non-ASCII characters of an instruction as octal numbers, in any locale, and no client says
    before a session what its terminal can show.
    """
    return words.replace("•", "*").encode("ascii", "replace").decode()
