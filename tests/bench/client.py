"""The client that signs in to every server that is compared, with a key or a password and a code."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncssh
from asyncssh.public_key import SSHKey

from data.rules import totp
from data.rules.totp import code_at


def code(secret: str) -> str:
    """Compute the code of now."""
    return code_at(secret, int(time.time()) // totp.STEP_SECONDS)


@dataclass
class Login:
    """Who signs in where; `hold` is waited for before the code is sent."""

    port: int
    username: str
    secret: str
    key: SSHKey | None = None
    password: str | None = None
    answer: Callable[[], str] | None = None
    hold: Callable[[], "asyncio.Future[None] | None"] = field(default=lambda: None)
    source: str = "127.0.0.1"


class _Client(asyncssh.SSHClient):
    def __init__(self, login: Login) -> None:
        self._login = login

    def kbdint_auth_requested(self) -> str:
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        answers = []
        for prompt, _ in prompts:
            if "assword" in prompt:
                answers.append(self._login.password or "")
                continue
            held = self._login.hold()
            if held is not None:
                await held
            answers.append(self._login.answer() if self._login.answer else code(self._login.secret))
        return answers


async def connect(login: Login) -> asyncssh.SSHClientConnection:
    """Sign in."""
    return await asyncssh.connect(
        "127.0.0.1",
        login.port,
        local_addr=(login.source, 0),
        username=login.username,
        client_keys=[login.key] if login.key else None,
        known_hosts=None,
        config=None,
        agent_path=None,
        preferred_auth="publickey,keyboard-interactive",
        client_factory=lambda: _Client(login),
    )


async def sign_in(login: Login) -> float:
    """Sign in and hang up; return how many seconds the former took."""
    begun = time.perf_counter()
    connection = await connect(login)
    taken = time.perf_counter() - begun
    connection.close()
    await connection.wait_closed()
    return taken


async def sign_in_all(logins: Sequence[Login], together: int) -> list[float]:
    """Sign all in, so many at a time."""
    turns = asyncio.Semaphore(together)

    async def one(login: Login) -> float:
        async with turns:
            return await sign_in(login)

    return list(await asyncio.gather(*map(one, logins)))
