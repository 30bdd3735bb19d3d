"""Packets that nobody sends in earnest: none crashes the server, none is answered to strangers."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.radius import ACCEPT, Client, add_client, radius_server, request, verified

from data.authserver import radius_packets as packets
from data.operations.applications.radius_clients import RadiusClient
from data.rules.applications import Asks

pytestmark = pytest.mark.only_on("sqlite")
SECRET = b"s" * 32
STRICT = RadiusClient(1, "vpn", Asks.CODE, False, False, (), SECRET)
LENIENT = RadiusClient(2, "old", Asks.CODE, False, True, (), SECRET)
EXAMPLES = 200
EXAMPLES_OF_SOAK = 100_000

attributes = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([1, 2, 3, 18, 24, 26, 31, 33, 79, 80]), st.integers(0, 255)),
        st.integers(0, 255),
        st.binary(max_size=40),
    ),
    max_size=12,
)


@st.composite
def damaged(draw) -> bytes:
    """A packet with attributes of whatever length they say, or a good one with some bytes changed."""
    if draw(st.booleans()):
        body = b"".join(bytes((key, size)) + value for key, size, value in draw(attributes))
        honest = draw(st.booleans())
        if honest:
            body = b"".join(bytes((key, 2 + len(value))) + value for key, _, value in draw(attributes))
        length = draw(st.integers(0, 5_000)) if draw(st.integers(0, 9)) == 0 else 20 + len(body)
        return bytes((draw(st.sampled_from([1, 12, 4, 255])), 7)) + length.to_bytes(2) + bytes(16) + body
    good = bytearray(request(SECRET, signed=draw(st.booleans()), a1=b"ben", password="123456", a24=b"state"))
    for place in draw(st.lists(st.integers(0, len(good) - 1), max_size=4)):
        good[place] = draw(st.integers(0, 255))
    return bytes(good) + draw(st.binary(max_size=3))


def judge(data: bytes) -> None:
    """Read a packet as the server does; whatever is asked can be answered, and what is signed is whole."""
    if not packets.is_request(data):
        return
    for clients in ((STRICT,), (LENIENT,)):
        opened = packets.open_packet(data, clients)
        if isinstance(opened, packets.Dropped):
            continue
        client, packet = opened
        assert client.lenient or len(packet[packets.MESSAGE_AUTHENTICATOR]) == 1
        asked = packets.read_packet(packet)
        if not isinstance(asked, packets.Dropped):
            reply = packets.write_reply(packet, packets.REJECT, packets.question(b"state", "Code:"))
            verified(reply, data[: int.from_bytes(data[2:4])], SECRET)


@given(damaged())
@settings(max_examples=EXAMPLES, deadline=None)
def test_damaged(data):
    judge(data)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@given(damaged())
@settings(max_examples=EXAMPLES_OF_SOAK, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_for_long(data):
    judge(data)


@given(st.text())
def test_messages_of_any_length(message):
    for key, value in packets.shown(message):
        assert key == packets.REPLY_MESSAGE
        assert 0 < len(value) <= 253
        value.decode()


@pytest.mark.feature("radius-rubbish")
async def test_good_request_among_rubbish(world, ben):
    """Strangers, damaged packets and wrong secrets, as fast as they can be sent; a good one is answered."""
    secret = add_client(world, networks=("127.0.0.1",))
    rubbish = [
        (Client, "127.0.0.2", request(secret, a1=b"ben", password="1")),
        (Client, "127.0.0.1", bytes(200)),
        (Client, "127.0.0.1", request(b"wrong", a1=b"ben", password="1")),
    ]
    async with radius_server(world) as server:
        flooding = [(make(server.port, host), data) for make, host, data in rubbish]
        sent = 0
        good = request(secret, a1=b"ben", password=world.code(ben))
        asking = asyncio.ensure_future(resend(server.port, good))
        while not asking.done():
            for client, data in flooding:
                for _ in range(100):
                    try:
                        client.send(data)
                    except BlockingIOError:
                        break
                    sent += 1
            await asyncio.sleep(0)
        assert verified(await asking, good, secret).code == ACCEPT
        assert sent > 300
        assert all(client.nothing_came() for client, _ in flooding)


async def resend(port: int, data: bytes) -> bytes:
    """Ask as clients do: again, until there is an answer."""
    client = Client(port)
    while True:
        client.send(data)
        try:
            return await client.receive(0.5)
        except TimeoutError:
            continue
