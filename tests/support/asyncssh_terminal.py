"""asyncssh's client at a terminal: many people at once, without a process or a screen for each."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh
from asyncssh.public_key import SSHKey
from support.pseudo_terminal import PATIENCE, Terminal

HOST = "127.0.0.1"
_ESCAPES = re.compile(r"\x1b\[[0-9;?<>=!]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
Answers = Callable[[str, str], Awaitable[str | None]]
"""Answers a question of the server, given what was told before it; None gives up."""


class PersonsClient(asyncssh.SSHClient):
    """Has a person answer what the server asks, and notes what it asked."""

    def __init__(self, answer: Answers) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def kbdint_auth_requested(self) -> str:
        return ""

    async def kbdint_challenge_received(self, _name: str, told: str, _lang: str, prompts: Any) -> Any:
        self.asked += [prompt for prompt, _ in prompts]
        answers = [await self._answer(prompt, told) for prompt, _ in prompts]
        return None if None in answers else answers


async def connect(
    port: int, name: str, keys: list[SSHKey], answer: Answers
) -> tuple[asyncssh.SSHClientConnection, PersonsClient]:
    """Sign in, and open nothing yet.

    Raises:
        asyncssh.PermissionDenied: when that is refused.
    """
    client = PersonsClient(answer)
    connection = await asyncssh.connect(
        HOST,
        port,
        username=name,
        client_factory=lambda: client,
        client_keys=keys or None,
        known_hosts=None,
        config=None,
        agent_path=None,
        preferred_auth=["publickey", "keyboard-interactive"],
    )
    return connection, client


class SshTerminal(Terminal):
    """A session of asyncssh's client on a terminal of 60 columns and 20 rows.

    Nothing is drawn: `text` is what was written since the last key, without its escape sequences.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, asked: list[str]) -> None:
        super().__init__()
        self.asked = asked
        """What was asked before the session began."""
        self._connection = connection
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._typed_at = 0

    @property
    def text(self) -> str:
        """The words that were written since the last key."""
        return _ESCAPES.sub("", self.output[self._typed_at :].decode("utf-8", "replace"))

    @classmethod
    async def open(cls, port: int, name: str, keys: list[SSHKey], answer: Answers) -> "SshTerminal":
        """Sign in and open the app.

        Raises:
            asyncssh.PermissionDenied: when that is refused.
        """
        connection, client = await connect(port, name, keys, answer)
        terminal = cls(connection, client.asked)
        channel, _ = await connection.create_session(
            lambda: _Reader(terminal), term_type="xterm-256color", term_size=(60, 20), encoding=None
        )
        terminal._channel = channel
        return terminal

    def type(self, text: str | bytes) -> None:
        assert self._channel is not None
        self._typed_at = len(self.output)
        self._channel.write(text.encode() if isinstance(text, str) else text)

    async def end(self, seconds: float = PATIENCE) -> int:
        assert self._channel is not None
        await asyncio.wait_for(self._channel.wait_closed(), seconds)
        status = self._channel.get_exit_status()
        self._connection.close()
        return -1 if status is None else status


class _Reader(asyncssh.SSHClientSession[bytes]):
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        self._terminal.take(data)
