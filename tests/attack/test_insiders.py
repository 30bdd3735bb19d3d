"""Someone who has an account, against all others."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from support.raw_ssh_client import (
    CHANNEL_DATA,
    CHANNEL_SUCCESS,
    INFO_REQUEST,
    USERAUTH_FAILURE,
    USERAUTH_SUCCESS,
    WINDOW_ADJUST,
    packet,
    raw_client,
    strings,
    text,
    u32,
)
from support.ssh_server import GreetingApp

from data.operations.signin.admission import SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS
from sshserver.limits.limit_values import Limits
from tui.app import TwofoldApp


@pytest.fixture
async def eve(attacked):
    """A key that opens a session by itself: its owner has not set two-factor authentication up."""
    return (await attacked.people.add_with_key("eve", enrolled=False)).pyca_key


async def signed_in(attacked, key) -> str:
    """Sign in as Eve and hang up; return "in", or what the prompt says."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        client.sign_with("eve", key)
        if (await client.expect(USERAUTH_SUCCESS, USERAUTH_FAILURE))[0] == USERAUTH_SUCCESS:
            return "in"
        client.ask_questions("eve")
        return strings((await client.expect(INFO_REQUEST))[1:], 2)[1].decode()


async def sign_ins(attacked, key, clients: int, each: int) -> Counter[str]:
    """Sign in from so many clients at once, each so many times."""

    async def loop() -> list[str]:
        return [await signed_in(attacked, key) for _ in range(each)]

    loops = await asyncio.gather(*(loop() for _ in range(clients)))
    return Counter(said for each_said in loops for said in each_said)


@pytest.mark.feature("sixty-sign-ins")
async def test_sixty_sign_ins_a_minute(attacked, eve):
    """Sign-ins in a loop end after sixty, and the prompt says so."""
    said = await sign_ins(attacked, eve, clients=4, each=17)
    assert said == {"in": SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS: 4 * 17 - SIGNINS_PER_MINUTE}
    assert [event for event, _ in await attacked.audited("eve")].count("signin.turned_away") == 1
    assert (await attacked.people.user("eve")).locked_at is None
    attacked.people.clock.forward(60)
    assert await signed_in(attacked, eve) == "in"


class Typist:
    """A terminal session over a raw connection: what it types, and what it has seen."""

    def __init__(self, client, channel: int) -> None:
        self._client, self._channel = client, channel
        self._window = Limits().early_input_bytes
        self._screen = b""

    async def types(self, typed: bytes) -> None:
        """Send keys as fast as the server takes them."""
        while typed:
            if self._window < 1024:
                await self._read()
                continue
            part, typed = typed[: min(self._window, 16_000)], typed[min(self._window, 16_000) :]
            self._client.send(packet(CHANNEL_DATA, u32(self._channel), text(part)))
            self._window -= len(part)

    async def sees(self, words: bytes) -> None:
        while words not in self._screen:
            await self._read()

    async def _read(self) -> None:
        payload = await self._client.expect(CHANNEL_DATA, WINDOW_ADJUST)
        if payload[0] == WINDOW_ADJUST:
            self._window += int.from_bytes(payload[5:9], "big")
            return
        self._screen += payload[9:]
        self._client.send(packet(WINDOW_ADJUST, u32(self._channel), u32(len(payload) - 9)))


@asynccontextmanager
async def typist(attacked):
    """Sign in as Mallory with a terminal."""
    async with raw_client(attacked.port) as client:
        await client.begin()
        await client.sign_in("mallory", attacked.mallory, attacked.code())
        channel = await client.channel()
        size = [u32(80), u32(24), u32(0), u32(0)]
        client.channel_request(channel, "pty-req", text("xterm"), *size, text(""))
        client.channel_request(channel, "shell")
        for _ in range(2):
            await client.expect(CHANNEL_SUCCESS)
        yield Typist(client, channel)


@pytest.mark.feature("lengths")
async def test_endless_address_in_profile(people, attacked_with):
    """It keeps nobody else waiting."""
    marks = ("a" + "\u0301" * 60_000 + "\u0316" * 60_000 + "@clinic.example").encode()

    def app_for(session, terminal):
        if session.username != "mallory":
            return GreetingApp(session, terminal)
        return TwofoldApp(people.store, session=session, clock=people.clock, terminal=terminal)

    async with attacked_with(Limits(), app_for) as attacked, typist(attacked) as mallory:
        await mallory.sees(b"mallory@example.org")
        await mallory.types(b"e")
        await mallory.sees(b"Edit mallory")
        await mallory.types(b"\x1b[200~" + marks + b"\x1b[201~\r\r\r")
        await attacked.still_serves()
        await mallory.sees(b"Nothing changed.")
    assert (await people.user("mallory")).email == "mallory@example.org"


@pytest.mark.soak
async def test_thousand_sign_ins_leave_few_rows(attacked, eve):
    """They leave no more rows than a minute allows."""
    said = await sign_ins(attacked, eve, clients=8, each=125)
    assert said == {"in": SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS: 1000 - SIGNINS_PER_MINUTE}
    assert len(await attacked.audited("eve")) < 3 * SIGNINS_PER_MINUTE
