"""A served home whose processes are killed at random moments, and the people who work on it meanwhile.

Each notes what was acknowledged to it, and nothing else: that must be there afterwards.
"""

import asyncio
import contextlib
import os
import random
import re
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pyte
from support.installed_program import PROGRAM, RECOVERY
from support.processes import with_descendants
from support.ssh_server import HOST, AnsweringClient
from support.ssh_users import SECRET, enrol_with_app

from data.operations.results import Done
from data.operations.users.lifecycle import NewUser, create_user
from data.rules import public_keys, totp
from data.rules.domain_types import ADMIN_ROLES
from data.storage.home import Home
from tui.cli.open_installation import installation

SIZE = (80, 24)
_CUT_OFF = (asyncssh.Error, OSError, TimeoutError, EOFError)


class NoCodeError(Exception):
    """A code is asked for of someone who has none."""


class CodeSpentError(Exception):
    """A code was taken before."""


@dataclass
class Acknowledged:
    """What people were told to be done."""

    signed_in: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The steps of the codes that let each in."""
    spent: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The steps that nobody need try any more."""
    tried: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The steps whose codes were sent to the server, whatever became of them."""
    enrolled: dict[str, list[str]] = field(default_factory=dict)
    """The recovery codes that were shown to each."""
    created: list[str] = field(default_factory=list)


class Screen:
    """A person's terminal over a connection."""

    def __init__(self, process: Any) -> None:
        self._process = process
        self._screen = pyte.Screen(*SIZE)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        return "\n".join(self._screen.display)

    def type(self, text: str) -> None:
        self._process.stdin.write(text.encode())

    async def shows(self, pattern: str) -> str:
        """Wait until the screen matches; the connection's end is an EOFError."""
        async with asyncio.timeout(20):
            while not (match := re.search(pattern, self.text)):
                data = await self._process.stdout.read(65536)
                if not data:
                    raise EOFError
                self._stream.feed(data)
        return match.group()


@dataclass
class KilledHome:
    """A home, its server, and its people."""

    path: Path
    random: random.Random
    workers: int
    key: dict[str, asyncssh.SSHKey] = field(default_factory=dict)
    done: Acknowledged = field(default_factory=Acknowledged)
    port: int = 0
    server: asyncio.subprocess.Process | None = None
    log: bytearray = field(default_factory=bytearray)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    """Whether the people are to stop."""

    def fill(self, *, signers: int, newcomers: int, admins: int) -> None:
        """Create the people, each with a key; all but the newcomers have an authenticator app."""
        with installation(Home(self.path)) as here:
            for kind, count in (("signer", signers), ("newcomer", newcomers), ("chief", admins)):
                for number in range(count):
                    name = f"{kind}{number}"
                    self.key[name] = asyncssh.generate_private_key("ssh-ed25519")
                    key = public_keys.parse(self.key[name].export_public_key("openssh").decode())
                    assert isinstance(key, public_keys.PublicKey)
                    roles = ADMIN_ROLES if kind == "chief" else frozenset()
                    new = NewUser(
                        name, f"{name}@clinic.example", roles=roles, key=key, required=kind == "newcomer"
                    )
                    made = here.store.run_now(create_user, here.actor, new)
                    assert isinstance(made, Done), made
                    if kind != "newcomer":
                        here.store.run_now(enrol_with_app, name)

    # The server.

    async def serve(self) -> None:
        """Start the server where it was, and wait until it says that it is ready."""
        self.server = await asyncio.create_subprocess_exec(
            PROGRAM, "--home", self.path, "serve", "--port", str(self.port), "--workers", str(self.workers),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read_log(self.server))
        line = await asyncio.wait_for(self.server.stdout.readline(), 60)
        found = re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\n", line)
        if found is None:
            await self._reading
            raise AssertionError(f"the server did not start again: {line!r} {bytes(self.log[-2000:])!r}")
        self.port = int(found.group(1))
        self.ready.set()

    async def kill(self) -> None:
        """End every process of the server at once, as a power cut would."""
        self.ready.clear()
        for process in with_descendants(self.server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        await self.server.wait()
        await self._reading

    async def stop(self) -> int:
        """Ask the server to end, and return its exit status."""
        self.server.terminate()
        status = await asyncio.wait_for(self.server.wait(), 30)
        await self._reading
        return status

    async def _read_log(self, server: asyncio.subprocess.Process) -> None:
        while chunk := await server.stderr.read(65536):
            self.log += chunk

    async def somebody_of_each_was_told(self) -> None:
        """Wait until a sign-in, an enrolment and an administrator's change were acknowledged."""
        async with asyncio.timeout(60):
            while not (self.done.signed_in and self.done.enrolled and self.done.created):
                await asyncio.sleep(0.01)

    # The people.

    @contextlib.asynccontextmanager
    async def connected(self, name: str, answers: list[str]) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Be connected as someone.

        Raises:
            NoCodeError: when a code was asked for, and there was none.
            CodeSpentError: when the code was taken before.
        """
        client = AnsweringClient(answers)
        try:
            connection = await asyncio.wait_for(
                asyncssh.connect(
                    HOST, self.port, username=name, client_factory=lambda: client,
                    client_keys=[self.key[name]], known_hosts=None, config=None, agent_path=None,
                    preferred_auth=["publickey", "keyboard-interactive"],
                ),
                20,
            )  # fmt: skip
        except asyncssh.PermissionDenied:
            if any("already used" in words for words in client.told):
                raise CodeSpentError from None
            if client.asked and not answers:
                raise NoCodeError from None
            raise
        try:
            yield connection
        finally:
            connection.abort()

    @contextlib.asynccontextmanager
    async def at_the_screen(self, name: str, answers: list[str]) -> AsyncIterator[Screen]:
        """Have the app of someone."""
        async with self.connected(name, answers) as connection:
            process = await connection.create_process(
                term_type="xterm-256color", term_size=SIZE, encoding=None
            )
            yield Screen(process)

    async def _pause(self) -> None:
        """Wait while there is no server: trying would only keep it from starting."""
        await asyncio.sleep(0.01)
        await self.ready.wait()

    def next_step(self, name: str) -> int | None:
        """Return the earliest step whose code is good and not known to be spent, if there is one now."""
        now = int(time.time()) // totp.STEP_SECONDS
        step = max([now - 1, *(step + 1 for step in self.done.spent[name])])
        return step if step <= now + 1 else None

    @contextlib.contextmanager
    def trying(self, name: str, step: int) -> Iterator[None]:
        """Send a code: one that was sent before, and cut off, may be spent by now, and no other."""
        before = step in self.done.tried[name]
        self.done.tried[name].add(step)
        try:
            yield
        except CodeSpentError:
            assert before, "a code that was never sent before was called used"
            self.done.spent[name].add(step)
        except _CUT_OFF:
            pass

    def take(self, name: str, step: int) -> None:
        """Note that a code has let someone in."""
        self.done.spent[name].add(step)
        self.done.signed_in[name].append(step)

    async def sign_in_until_over(self, names: list[str]) -> None:
        """Sign in as one after the other; a code that was cut off is tried again."""
        while not self.over:
            await self._pause()
            name = next((name for name in names if self.next_step(name) is not None), names[0])
            if (step := self.next_step(name)) is None:
                continue
            with self.trying(name, step):
                async with self.connected(name, [totp.code_at(SECRET, step)]):
                    self.take(name, step)

    async def enrol_until_over(self, names: list[str]) -> None:
        """Set up the second factor of one newcomer after the other, until the recovery codes are shown."""
        for name in names:
            while name not in self.done.enrolled and not self.over:
                await self._pause()
                try:
                    await self._enrol(name)
                except NoCodeError:
                    break  # It was done, and the answer was lost with the server.
                except _CUT_OFF:
                    pass

    async def _enrol(self, name: str) -> None:
        async with self.at_the_screen(name, []) as screen:
            shown = await screen.shows("Microsoft Authenticator|recovery codes")
            if shown == "Microsoft Authenticator":
                screen.type("\r")
                await screen.shows("Enable 2FA")
                secret = await screen.shows(r"(?s)\b[A-Z2-7]{4}\b.*\b[A-Z2-7]{4}\b")
                secret = "".join(re.findall(r"\b[A-Z2-7]{4}\b", secret))
                screen.type(totp.code_at(secret, int(time.time()) // totp.STEP_SECONDS) + "\r")
            await screen.shows(r"(?s)" + ".*".join([RECOVERY.pattern] * 5))
            self.done.enrolled[name] = RECOVERY.findall(screen.text)

    async def administer_until_over(self, names: list[str]) -> None:
        """Create one user after the other in the app, as whichever administrator has a code left."""
        number = 0
        while not self.over:
            await self._pause()
            name = next((name for name in names if self.next_step(name) is not None), None)
            if name is None:
                continue
            with self.trying(name, step := self.next_step(name) or 0):
                async with self.at_the_screen(name, [totp.code_at(SECRET, step)]) as screen:
                    self.take(name, step)
                    await screen.shows("Sign-ins, 30 days")
                    screen.type("2")
                    await screen.shows("by name")
                    while not self.over:
                        number += 1
                        await self._create(screen, f"made{number}")

    async def _create(self, screen: Screen, name: str) -> None:
        screen.type("n")
        await screen.shows("New user")
        screen.type(f"{name}\r{name}@clinic.example\r\r\r\r")
        await screen.shows("I have saved it")
        assert name in screen.text
        self.done.created.append(name)
        screen.type("\t\r")
        await screen.shows("by name")
