"""The test, at every start, that one factor alone opens nothing.

A real client uses the real connection class over the loopback interface. Only the database is replaced, so
that no user's data is touched. A server that fails this test must not serve. With both factors, what a jump
carries must arrive whole.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import asyncssh
from asyncssh.public_key import SSHKey

from data.operations.signin.admission import Admitted, Attempt, Session
from data.operations.signin.code_verification import CodeWrong
from data.operations.signin.first_factor import Candidate, CodeNeeded, FirstFactorRejected, FirstFactorResult
from data.operations.signin.second_factor import CodeResult, SendResult
from data.operations.signin.sent_codes import NotSent
from data.operations.targets.jumps import JumpTarget
from data.rules.domain_types import Application, FirstFactor, Method
from data.rules.policy import NeedCode, SignedIn
from data.rules.protocol_misuse import Misuse
from data.rules.source_addresses import Origin
from data.store import Store
from sshserver.auth_backend import AuthBackend
from sshserver.compat import asyncssh_shim
from sshserver.limits.limit_values import Limits
from sshserver.server_context import AppFactory
from sshserver.signin.conversation import CODE_PROMPT, PASSWORD_PROMPT
from sshserver.terminal.capabilities import Terminal

if TYPE_CHECKING:
    from sshserver.compat.textual_app import ContainedApp


class Listening(Protocol):
    """A server that was started for the test."""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        ...

    async def drain(self) -> None:
        """Stop it."""
        ...


class Listen(Protocol):
    """Starts a server for the test."""

    def __call__(
        self,
        backend: AuthBackend,
        host_key: SSHKey,
        make_app: AppFactory,
        host: str,
        port: int,
        limits: Limits,
        *,
        store: Store,
    ) -> Awaitable[Listening]:
        """Listen on a host and port."""
        ...


_HOST: Final = "127.0.0.1"
_USER: Final = "selftest"
_STARTED: Final = datetime.min.replace(tzinfo=UTC)
_SECONDS: Final = 10.0
_GCM_FIRST: Final = "^aes*-gcm@openssh.com"
"""As OpenSSH's clients choose on this server."""
_CARRIED: Final = 100_000
"""Bytes of a few packets."""
_REFUSAL: Final = "The self-test failed, so the server did not start: {}."


class SelfTestError(RuntimeError):
    """The server would admit someone it must refuse, or refuse someone it must admit."""


class _StubBackend:
    """Knows one user, one key, one password and one code."""

    def __init__(self, fingerprint: str) -> None:
        self.password = secrets.token_urlsafe()
        self.code = secrets.token_urlsafe()
        self._fingerprint = fingerprint
        self._origin = Origin(Application.SSH, _HOST)

    async def find(self, username: str, address: str) -> Candidate:
        del address
        fingerprints = frozenset({self._fingerprint})
        asked = NeedCode((Method.APP,))
        return Candidate(username, self._origin, 0, 1, 1, fingerprints, "", code_asked=asked)

    async def prove_password(
        self, candidate: Candidate, password: str, gone: asyncio.Event
    ) -> FirstFactorResult:
        del candidate, gone
        return self._needs_code(FirstFactor.PASSWORD) if password == self.password else FirstFactorRejected()

    async def prove_key(self, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
        del candidate
        return (
            self._needs_code(FirstFactor.KEY) if fingerprint == self._fingerprint else FirstFactorRejected()
        )

    async def submit_code(self, attempt: Attempt, answer: str) -> CodeResult:
        if answer != self.code:
            return CodeWrong(1)
        return Admitted(Session(1, attempt.user_id, _USER, Application.SSH, _HOST, _STARTED, SignedIn()))

    async def send_code(self, attempt: Attempt, method: Method) -> SendResult:
        del attempt, method
        return NotSent("The self-test sends nothing.")

    async def end_sessions(self, session_ids: Sequence[int]) -> None:
        del session_ids

    async def record_misuse(self, user_id: int, address: str, what: Misuse) -> None:
        del user_id, address, what

    def _needs_code(self, factor: FirstFactor) -> CodeNeeded:
        return CodeNeeded(Attempt(1, _USER, self._origin, factor, ""))


class _StubStore:
    """Knows any target, and one jump."""

    services = SimpleNamespace(forwarding=())

    async def read(self, _find: object, _actor: object, host: str, port: int) -> JumpTarget:
        return JumpTarget(1, "selftest", host, port, by_operator=True)

    async def run_with_others(self, *_record: object) -> int:
        return 1


class _Client(asyncssh.SSHClient):
    """Answers the questions that it has answers for, and gives up at any other."""

    def __init__(self, answers: dict[str, str]) -> None:
        self._answers = answers

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(
        self, _name: str, _instructions: str, _lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        answers = [self._answers.get(prompt) for prompt, _echo in prompts]
        return None if None in answers else [answer for answer in answers if answer is not None]


async def run(listen: Listen) -> None:
    """Try to sign in with one factor and with both, at a server that `listen` starts.

    Raises:
        SelfTestError: when the outcome is not what this product promises.
    """
    asyncssh_shim.called.clear()
    key = asyncssh.generate_private_key("ssh-ed25519")
    backend = _StubBackend(key.get_fingerprint())
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await listen(backend, host_key, _no_app, _HOST, 0, Limits(), store=cast("Any", _StubStore()))
    password, code = {PASSWORD_PROMPT: backend.password}, {CODE_PROMPT: backend.code}
    wrong_code = {CODE_PROMPT: backend.password}
    try:
        async with asyncio.timeout(_SECONDS):
            await _expect(server.port, [key], {}, opens=False, what="a key alone")
            await _expect(server.port, [key], wrong_code, opens=False, what="a key and a wrong code")
            await _expect(server.port, [], password, opens=False, what="a password alone")
            await _expect(
                server.port, [], password | wrong_code, opens=False, what="a password and a wrong code"
            )
            await _expect(server.port, [], code, opens=False, what="a code alone")
            await _expect(server.port, [key], code, opens=True, what="a key and a code")
            await _expect(server.port, [], password | code, opens=True, what="a password and a code")
            async with _connected(server.port, [key], code) as connection:
                if not await _carries(connection):
                    raise SelfTestError(_REFUSAL.format("a jump did not carry what was sent"))
    except TimeoutError:
        raise SelfTestError(_REFUSAL.format("it did not finish in time")) from None
    finally:
        await server.drain()
    if missing := asyncssh_shim.HOOKS - asyncssh_shim.called:
        raise SelfTestError(_REFUSAL.format(f"asyncssh did not call {', '.join(sorted(missing))}"))


async def _expect(port: int, keys: list[SSHKey], answers: dict[str, str], *, opens: bool, what: str) -> None:
    async with _connected(port, keys, answers) as connection:
        if opens and not await _opens_a_channel(connection):
            raise SelfTestError(_REFUSAL.format(f"{what} did not open a channel"))
        if not opens and connection is not None:
            raise SelfTestError(_REFUSAL.format(f"{what} signed in"))


async def _opens_a_channel(connection: asyncssh.SSHClientConnection | None) -> bool:
    if connection is None:
        return False
    try:
        await connection.run("exit", env={"LANG": "C.UTF-8"})
    except asyncssh.ChannelOpenError:
        return False
    return True


async def _carries(connection: asyncssh.SSHClientConnection | None) -> bool:
    """Send something through a jump to a target that sends it back."""
    if connection is None:
        return False
    sent = secrets.token_bytes(_CARRIED)
    target = await asyncio.start_server(_send_back, _HOST, 0)
    try:
        reader, writer = await connection.open_connection(_HOST, target.sockets[0].getsockname()[1])
        writer.write(sent)
        writer.write_eof()
        return bool(await reader.read() == sent)
    except asyncssh.ChannelOpenError:
        return False
    finally:
        target.close()


async def _send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.close()


@contextlib.asynccontextmanager
async def _connected(
    port: int, keys: list[SSHKey], answers: dict[str, str]
) -> AsyncIterator[asyncssh.SSHClientConnection | None]:
    """Connect with exactly these proofs; yield None if sign-in failed."""
    connection = None
    with contextlib.suppress(asyncssh.DisconnectError, asyncssh.ConnectionLost, OSError):
        connection = await asyncssh.connect(
            _HOST,
            port,
            username=_USER,
            client_factory=lambda: _Client(answers),
            client_keys=keys or None,
            known_hosts=None,
            config=None,
            agent_path=None,
            encryption_algs=_GCM_FIRST,
            preferred_auth=["publickey", "keyboard-interactive"],
        )
    try:
        yield connection
    finally:
        if connection is not None:
            connection.abort()
            await connection.wait_closed()


def _no_app(session: Session, terminal: Terminal) -> "ContainedApp":
    del session, terminal
    raise SelfTestError("The self-test opens no terminal.")
