"""RADIUS as clients use it: `radclient`, and packets by hand where it cannot send them."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.database import OPERATOR, PASSWORD
from support.radius import (
    ACCEPT,
    CHALLENGE,
    REJECT,
    Client,
    add_client,
    radclient,
    radius_server,
    request,
    verified,
)

from data.authserver import radius_server as tested
from data.operations.applications import registry
from data.operations.applications.asking import Reject
from data.operations.users import practices
from data.rules.applications import Asks, ReplyAttribute, Told
from data.rules.domain_types import Role

pytestmark = pytest.mark.only_on("sqlite")
SIGNED = {"Message_Authenticator": "0x00"}


@pytest.fixture
def radclient_program(require_program) -> str:
    return require_program("radclient")


def message(packet) -> str:
    return b"".join(packet.get(18, [])).decode()


@pytest.mark.feature("radius")
async def test_radclient_strict(world, ben, radclient_program):
    """Accept and reject, signed first of all; without a signature, not at all."""
    secret = add_client(world)
    async with radius_server(world) as server:
        accepted = await radclient(
            server.port, secret, User_Name="Ben", User_Password=world.code(ben), **SIGNED
        )
        assert (accepted.code, accepted.attributes[0][0]) == (ACCEPT, "Message-Authenticator")
        rejected = await radclient(
            server.port, secret, User_Name=ben, User_Password=world.code(ben), Proxy_State="0x4142", **SIGNED
        )
        assert (rejected.code, rejected["Reply-Message"]) == (REJECT, "The code was not accepted.")
        assert rejected.attributes[0][0] == "Message-Authenticator"
        assert rejected["Proxy-State"] == "0x4142"
        assert (await radclient(server.port, secret, "status", **SIGNED)).code == ACCEPT
        assert not server.counts
        assert (await radclient(server.port, secret, tries=1, User_Name=ben, User_Password="1")).code == 0
        assert (await radclient(server.port, b"x" * 32, tries=1, User_Name=ben, **SIGNED)).code == 0
    assert dict(server.counts) == {"radius_no_message_authenticator": 1, "radius_wrong_secret": 1}


@pytest.mark.feature("radius")
async def test_radclient_lenient(world, ben, radclient_program):
    """It needs no signature, but a wrong one, a proxy's mark or a Status-Server without one is not taken."""
    secret = add_client(world, lenient=True)
    async with radius_server(world) as server:
        found = await radclient(server.port, secret, User_Name=ben, User_Password=world.code(ben))
        assert (found.code, found.attributes[0][0]) == (ACCEPT, "Message-Authenticator")
        client = Client(server.port)
        client.send(request(secret, signed=False, a1=b"ben", password="1", a33=b"x"))
        client.send(request(secret, signed=False, code=12))
        client.send(request(b"other", a1=b"ben", password="1"))
        await client.ask(request(secret, code=12))
        assert client.nothing_came()
    assert dict(server.counts) == {
        "radius_proxy_state": 1,
        "radius_no_message_authenticator": 1,
        "radius_wrong_secret": 1,
    }


@pytest.mark.feature("radius")
async def test_challenge(world, ben):
    """Its State is good once, for five minutes, and for its user, client and application alone."""
    secret = add_client(world, Asks.PASSWORD_THEN_CODE)
    other = add_client(world, Asks.PASSWORD_THEN_CODE, "web")
    async with radius_server(world) as server:
        client, elsewhere = Client(server.port), Client(server.port, "127.0.0.2")

        async def ask(by: Client = client, key: bytes = secret, name: bytes = b"ben", **more):
            sent = request(key, a1=name, **more)
            return verified(await by.ask(sent), sent, key)

        async def state() -> bytes:
            asked = await ask(password=PASSWORD)
            assert (asked.code, message(asked), asked[76]) == (CHALLENGE, "Verification code:", [bytes(4)])
            return asked[24][0]

        first = await state()
        for wrong in (
            await ask(key=other, a24=first, password=world.code(ben)),
            await ask(elsewhere, a24=first, password=world.code(ben)),
            await ask(name=b"admin", a24=first, password=world.code(ben)),
            await ask(a24=first[:-1] + b"!", password=world.code(ben)),
        ):
            assert (wrong.code, message(wrong)) == (REJECT, tested.EXPIRED)
        assert (await ask(a24=first, password=world.code(ben))).code == ACCEPT
        world.clock.forward(seconds=60)
        again = await ask(a24=first, password=world.code(ben))
        assert (again.code, message(again).startswith("This sign-in has expired.")) == (REJECT, True)

        # A wrong code is an answer too.
        second = await state()
        wrong = await ask(a24=second, password=world.wrong_code(ben))
        assert message(wrong) == "Wrong code, 6 attempts left."
        assert (await ask(a24=second, password=world.code(ben))).code == REJECT

        third = await state()
        world.clock.forward(minutes=5)
        assert message(await ask(a24=third, password=world.code(ben))) == tested.EXPIRED
        assert (await ask(password=world.wrong_code(ben))).code == REJECT


@pytest.mark.feature("radius")
async def test_duplicates(world, ben, monkeypatch):
    """A packet that comes again gets the first one's answer, also while that is judged."""
    secret = add_client(world)
    judged, going = [], asyncio.Event()
    async with radius_server(world) as server:
        client = Client(server.port)
        await client.ask(request(secret, code=12))
        verify = tested.Verifier.verify

        async def slowly(verifier, asking, asked):
            judged.append(asked.name)
            await going.wait()
            return await verify(verifier, asking, asked)

        monkeypatch.setattr(tested.Verifier, "verify", slowly)
        sent = request(secret, a1=b"ben", password=world.code(ben))
        for _ in range(3):
            client.send(sent)
        await client.ask(request(secret, code=12))
        assert (judged, client.nothing_came()) == (["ben"], True)
        going.set()
        reply = await client.receive()
        assert verified(reply, sent, secret).code == ACCEPT
        assert await client.ask(sent) == reply
        assert judged == ["ben"]
        # From another port it is another packet, and its code is used.
        assert verified(await Client(server.port).ask(sent), sent, secret).code == REJECT
        monkeypatch.setattr(tested, "KEPT_SECONDS", -1.0)
        last = request(secret, a1=b"ben", password="000000")
        assert await client.ask(last) == await client.ask(last)
    assert len(judged) == 4


@pytest.mark.feature("radius")
async def test_answers_kept_are_bounded(world, monkeypatch):
    """The oldest goes first, and its packet is judged again."""
    judged = []

    async def rejected(_verifier, _asking, asked):
        judged.append(asked.answer)
        return Reject()

    monkeypatch.setattr(tested.Verifier, "verify", rejected)
    monkeypatch.setattr(tested, "MOST_KEPT", 3)
    secret = add_client(world)
    async with radius_server(world) as server:
        client = Client(server.port)
        sent = [request(secret, a1=b"nobody", password=str(number)) for number in range(5)]
        for each in sent:
            await client.ask(each)
        await client.ask(sent[-1])
        assert judged == [str(number) for number in range(5)]
        await client.ask(sent[0])
        assert judged[5:] == ["0"]


@pytest.mark.feature("radius")
async def test_attributes_by_role_and_practice(world):
    """Only who is accepted has them told, and each hears what its user is."""
    world.run(practices.add_practice, OPERATOR, "North")
    for name, roles in (("ben", ()), ("eva", (Role.SUPPORT,)), ("max", ())):
        world.enrol(world.user(name, *roles))
    world.run(practices.move_user, OPERATOR, "max", "North")
    world.clock.forward(minutes=2)
    told = (
        Told(ReplyAttribute.CLASS, "staff"),
        Told(ReplyAttribute.FILTER_ID, "helpdesk", role=Role.SUPPORT),
        Told(ReplyAttribute.FILTER_ID, "north", practice="north"),
    )
    secret = add_client(world, told=told)
    world.run(practices.rename_practice, OPERATOR, "North", "Far North")
    async with radius_server(world) as server:
        client = Client(server.port)

        async def found(name: str, answer: str) -> tuple[object, object]:
            sent = request(secret, a1=name.encode(), password=answer)
            answered = verified(await client.ask(sent), sent, secret)
            return answered.get(25), answered.get(11)

        assert await found("ben", world.code("ben")) == ([b"staff"], None)
        assert await found("eva", world.code("eva")) == ([b"staff"], [b"helpdesk"])
        assert await found("max", world.code("max")) == ([b"staff"], [b"north"])
        assert await found("max", world.code("max")) == (None, None)
    (row,) = world.run(registry.list_applications, OPERATOR).rows
    assert [each.text for each in row.told] == [
        "all=staff",
        "role:support=helpdesk",
        "practice:Far North=north",
    ]


@pytest.mark.feature("radius")
async def test_strangers_get_silence(world):
    """Those from elsewhere, a removed one, and whatever is damaged."""
    secret = add_client(world, networks=("127.0.0.2/32",))
    good = request(secret, a1=b"ben", password="1")
    async with radius_server(world) as server:
        stranger, client = Client(server.port), Client(server.port, "127.0.0.2")
        await client.ask(good)
        stranger.send(good)
        damaged = [
            b"",
            good[:19],
            good[:-1],
            good[:2] + b"\xff\xff" + good[4:],
            good[:20] + b"\x01\x01" + good[22:],
            good[:-1] + b"\xff",
            b"\x04" + good[1:],
            request(secret, a1=b"ben", a2=b"short"),
            request(secret, a1=b"ben", a2=b"x" * 144),
            request(secret, a1=[b"ben", b"eva"], password="1"),
            request(secret, a1=b"ben", password="1", a24=[b"1", b"2"]),
            request(secret, password="1"),
        ]
        for each in damaged:
            client.send(each)
        await client.ask(request(secret, code=12))
        assert stranger.nothing_came()
        assert client.nothing_came()
        assert server.counts["radius_unknown_client"] == 1
        assert sum(server.counts.values()) == 1 + len(damaged)
        world.run(registry.remove_application, OPERATOR, "vpn")
        await asyncio.sleep(2 * tested.READ_SECONDS)
        client.send(good)
        await asyncio.sleep(0.1)
        assert client.nothing_came()


@pytest.mark.feature("radius")
async def test_port_has_one_owner(world, radclient_program):
    """Another process of the node waits for it, and answers when that one is gone; anyone else is refused."""
    secret = add_client(world)
    async with AsyncExitStack() as second:
        async with radius_server(world) as first:
            await second.enter_async_context(radius_server(world, port=first.port, shared=True))
            with pytest.raises(OSError, match="in use"):
                await AsyncExitStack().enter_async_context(radius_server(world, port=first.port))
            assert await Client(first.port).ask(request(secret, code=12))
        assert (await radclient(first.port, secret, "status", **SIGNED)).code == ACCEPT


@pytest.mark.feature("radius")
async def test_other_methods_are_rejected(world, caplog):
    """With one line a client that says why, and nothing secret in the log."""
    secret = add_client(world)
    methods = {
        "MS-CHAP": {"a26": (311).to_bytes(4) + b"\x19\x04ab"},
        "CHAP": {"a3": bytes(17)},
        "EAP": {"a79": b"\x02\x07\x00\x08\x01ben"},
    }
    caplog.set_level("DEBUG")
    async with radius_server(world) as server:
        client = Client(server.port)
        for attributes in methods.values():
            for _ in range(2):
                sent = request(secret, a1=b"ben", **attributes)
                answer = verified(await client.ask(sent), sent, secret)
                assert answer.code == REJECT
        assert answer[79] == [b"\x04\x07\x00\x04"]
        sent = request(secret, a1=b"ben", password="123457")
        await client.ask(sent)
    for method in methods:
        lines = [line for line in caplog.messages if f"rejected: {method} needs" in line]
        assert len(lines) == 1
        assert lines[0].startswith("vpn at 127.0.0.1")
    for each in (secret.decode(), "123457", sent.hex()):
        assert each not in caplog.text
