"""Someone who has an account, against all others."""

import asyncio
from collections import Counter

import pytest
from support.ssh_raw import (
    INFO_REQUEST,
    USERAUTH_FAILURE,
    USERAUTH_SUCCESS,
    raw_client,
    strings,
)

from data.operations.signing_in.admission import SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS


@pytest.fixture
async def eve(siege):
    """A key that opens a session by itself: its owner has not set two-factor authentication up."""
    return (await siege.people.add_with_key("eve", enrolled=False)).pyca_key


async def signed_in(siege, key) -> str:
    """Sign in as Eve and hang up; return "in", or what the prompt says."""
    async with raw_client(siege.port) as client:
        await client.begin()
        client.sign_with("eve", key)
        if (await client.expect(USERAUTH_SUCCESS, USERAUTH_FAILURE))[0] == USERAUTH_SUCCESS:
            return "in"
        client.ask_questions("eve")
        return strings((await client.expect(INFO_REQUEST))[1:], 2)[1].decode()


async def sign_ins(siege, key, clients: int, each: int) -> Counter[str]:
    """Sign in from so many clients at once, each so many times."""

    async def loop() -> list[str]:
        return [await signed_in(siege, key) for _ in range(each)]

    loops = await asyncio.gather(*(loop() for _ in range(clients)))
    return Counter(said for each_said in loops for said in each_said)


async def test_sign_ins_in_a_loop_end_after_sixty_and_the_prompt_says_so(siege, eve):
    said = await sign_ins(siege, eve, clients=4, each=17)
    assert said == {"in": SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS: 4 * 17 - SIGNINS_PER_MINUTE}
    assert [event for event, _ in await siege.audited("eve")].count("signin.turned_away") == 1
    assert (await siege.people.user("eve")).locked_at is None
    siege.people.clock.forward(60)
    assert await signed_in(siege, eve) == "in"


@pytest.mark.soak
async def test_a_thousand_sign_ins_leave_no_more_rows_than_a_minute_allows(siege, eve):
    said = await sign_ins(siege, eve, clients=8, each=125)
    assert said == {"in": SIGNINS_PER_MINUTE, TOO_MANY_SIGNINS: 1000 - SIGNINS_PER_MINUTE}
    assert len(await siege.audited("eve")) < 3 * SIGNINS_PER_MINUTE
