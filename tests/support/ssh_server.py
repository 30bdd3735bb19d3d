"""A real server for tests, with a small app behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakSet

import asyncssh
from asyncssh.public_key import SSHKey
from support.pseudo_terminal import PATIENCE
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from data.operations.signin.admission import Session
from sshserver.auth_backend import AuthBackend
from sshserver.compat.textual_app import ContainedApp
from sshserver.limits.limit_values import Limits
from sshserver.server import Server, listen
from sshserver.terminal.capabilities import Terminal

HOST = "127.0.0.1"


class GreetingApp(ContainedApp):
    """Greets who signed in; `q` leaves, `x` crashes, every other key is shown."""

    BINDINGS: ClassVar = [Binding("q", "leave", "Leave"), Binding("x", "crash", "Crash")]

    def __init__(self, session: Session, terminal: Terminal) -> None:
        super().__init__()
        self.session = session
        self.terminal = terminal
        self.keys: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static(f"Hello {self.session.username}", id="greeting", markup=False)
        yield Static("", id="keys", markup=False)

    def on_key(self, event: Any) -> None:
        self.keys.append(event.key)
        self.query_one("#keys", Static).update(" ".join(self.keys[-6:]))

    def action_leave(self) -> None:
        self.exit("Goodbye.")

    def action_crash(self) -> None:
        secret_in_a_local = "correct horse battery"
        raise ValueError(secret_in_a_local)


@dataclass
class Running:
    """A server, and the apps it has made."""

    server: Server
    host_key: SSHKey
    apps: list[ContainedApp] = field(default_factory=list)
    all_apps: "WeakSet[ContainedApp]" = field(default_factory=WeakSet)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def app(self) -> Any:
        """The app that was made last."""
        return self.apps[-1]


@asynccontextmanager
async def running_server(
    backend: AuthBackend,
    limits: Limits | None = None,
    app_class: type[Any] = GreetingApp,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[Running]:
    """Serve `app_class` behind `gate` on the loopback interface, on a free port unless one is given."""
    apps: list[ContainedApp] = []

    def make_app(session: Session, terminal: Terminal) -> ContainedApp:
        app: ContainedApp = app_class(session, terminal)
        apps.append(app)
        return app

    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await listen(backend, host_key, make_app, HOST, port, limits or Limits(), **options)
    try:
        yield Running(server, host_key, apps)
    finally:
        await server.drain()


class AnsweringClient(asyncssh.SSHClient):
    """Answers prompts in order from what it was given, and notes what it was asked and told."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.told: list[str] = []
        self.echoed = False
        self.disconnected_because: str | None = None

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(self, _name: str, instructions: str, _lang: str, prompts: Any) -> Any:
        if instructions:
            self.told.append(instructions)
        self.asked += [prompt for prompt, _ in prompts]
        self.echoed = self.echoed or any(echo for _, echo in prompts)
        if len(self.answers) < len(prompts):
            return None
        return [self.answers.pop(0) for _ in prompts]

    def connection_lost(self, exc: Exception | None) -> None:
        self.disconnected_because = None if exc is None else str(exc)


async def connect(
    port: int, username: str, answers: list[str], *, keys: list[SSHKey] | None = None, **options: Any
) -> tuple[asyncssh.SSHClientConnection, AnsweringClient]:
    """Connect with asyncssh's client.

    Raises:
        asyncssh.PermissionDenied: with the client as its `client`.
    """
    client = AnsweringClient(answers)
    try:
        connection = await asyncssh.connect(
            HOST,
            port,
            username=username,
            client_factory=lambda: client,
            client_keys=keys or None,
            known_hosts=None,
            config=None,
            agent_path=None,
            preferred_auth=["publickey", "keyboard-interactive"],
            **options,
        )
    except asyncssh.Error as error:
        error.client = client  # type: ignore[attr-defined]
        raise
    return connection, client


async def until(condition: Any, seconds: float = PATIENCE) -> None:
    """Wait until `condition()` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
