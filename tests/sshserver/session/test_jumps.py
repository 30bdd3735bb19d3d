"""Jumps: what passes to a target and back, what is refused in which words, and how they end."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import asyncssh
import pytest
from support.jump_gate import WITHIN, Gate, gate_of
from support.ssh_server import HOST, connect, until
from support.ssh_users import OPERATOR, People

from data.operations.results import Done
from data.operations.users import lifecycle, practices
from data.rules.protocol_misuse import Misuse
from data.storage import models
from sshserver.background.jump_reaper import note_carried
from sshserver.limits.limit_values import Limits

MB = 1_000_000


@pytest.fixture
async def gate(people: People) -> AsyncIterator[Gate]:
    async with gate_of(people) as found:
        await found.add("db1")
        yield found


pytestmark = pytest.mark.feature("jumps-carried")


async def test_what_passes_is_whole_both_ways_and_half_closed(gate):
    """The end of what the client sends reaches the target, which still answers; then bytes are recorded."""
    connection = await gate.connect()
    reader, writer = await connection.open_connection("db1", gate.host.port)
    sent = bytes(range(256)) * 20_000
    reading = asyncio.ensure_future(reader.read())
    writer.write(sent)
    await writer.drain()
    writer.write_eof()
    assert await asyncio.wait_for(reading, 60) == sent + b"<end>"
    assert gate.host.ended.is_set()
    detail = await gate.closed()
    assert f'"sent": {len(sent)}' in detail
    assert f'"received": {len(sent) + 5}' in detail
    await until(lambda: gate.metric("twofold_jumps ") == 0)
    assert gate.metric("twofold_jumps_opened_total") == 1
    assert gate.metric('twofold_jump_bytes_total{direction="to"}') == len(sent)
    connection.close()


async def test_others_are_refused_in_words(gate):
    connection = await gate.connect()
    port = gate.host.port
    for asked in ("db9", "127.0.0.2", "localhost", "2130706433", "0x7f000001", "::ffff:127.0.0.2", "0"):
        with pytest.raises(asyncssh.ChannelOpenError) as refused:
            await connection.open_connection(asked, port)
        assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        assert "is not among your targets: db1" in refused.value.reason
    assert gate.host.connected == 0
    assert gate.metric('twofold_jumps_refused_total{reason="unknown_target"}') == 7
    assert gate.server.misuses == {}, "a wrong name is no misuse"
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.forward_remote_port("", 0, HOST, port)
    assert gate.server.misuses == {Misuse.FORWARDING: 1}
    connection.close()


@pytest.mark.feature("jumps-scanned")
async def test_who_asks_for_many_that_are_not_theirs_is_audited_once(gate):
    """However many follow on a connection; the same wrong name again and again is none of them."""
    connection = await gate.connect()

    async def asks(host: str, *ports: int) -> None:
        for port in ports:
            with pytest.raises(asyncssh.ChannelOpenError, match="is not among your targets"):
                await connection.open_connection(host, port)

    await asks("db9", *[22] * 3)
    await asks("10.0.0.5", *range(1, 19))
    assert gate.server.misuses == {}
    await asks("10.0.0.6", *range(1, 5))
    assert gate.server.misuses == {Misuse.SCANNING: 1}
    async with asyncio.timeout(WITHIN):
        while not (audited := await gate.audited("connection.misused")):
            await asyncio.sleep(0.01)
    assert [json.loads(each)["what"] for each in audited] == [Misuse.SCANNING.value]
    await connection.open_connection("db1", gate.host.port)
    connection.abort()


async def test_an_ipv6_target_and_dead_peers(gate):
    """The system probes a target that says nothing, and gives it up when it does not answer."""
    try:
        behind = await asyncio.start_server(gate.host.take, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = behind.sockets[0].getsockname()[1]
    await gate.add("six", "::1", port)
    connection = await gate.connect()
    for asked in ("six", "::1", "0:0::1"):
        reader, writer = await connection.open_connection(asked, port)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
    for jump in _jumps(gate):
        dialled = jump.target._transport.get_extra_info("socket")
        assert dialled.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert dialled.family == socket.AF_INET6
    connection.abort()
    behind.close()


async def test_jumps_leave_files_for_those_who_sign_in(gate):
    """No jump is opened once three quarters of the open files are taken."""
    gate.server._context._most_connections = 8
    connection = await gate.connect()
    for _ in range(6):
        await connection.open_connection("db1", gate.host.port)
    with pytest.raises(asyncssh.ChannelOpenError, match="The server can carry no more jumps now"):
        await connection.open_connection("db1", gate.host.port)
    assert gate.metric('twofold_jumps_refused_total{reason="open_files"}') == 1
    assert gate.metric("twofold_jumps ") == 6
    (await gate.connect()).close()
    connection.abort()


async def test_only_both_factors_jump(gate):
    """Who has to set up two-factor authentication, or signed in without it, is told what to do."""
    await gate.people.add_with_key("ben", enrolled=False)
    connection, _ = await connect(gate.server.port, "ben", [], keys=[gate.people.keys["ben"]])
    with pytest.raises(asyncssh.ChannelOpenError, match="Set up two-factor authentication first: "):
        await connection.open_connection("db1", gate.host.port)
    assert gate.host.connected == 0
    connection.close()


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["0.0.0.0"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], ["224.0.0.1"]],
    ids=lambda answers: answers[0],
)
async def test_a_name_that_leads_elsewhere_is_not_dialled(gate, monkeypatch, answers):
    """A target of members reaches nothing outside of the networks, whatever its name resolves to."""
    _allow(gate, "0.0.0.0/0", "::/0")
    await gate.add("web1", "web1.clinic.example")
    await _by_a_member(gate, "web1")
    _resolve(monkeypatch, answers)
    connection = await gate.connect()
    with pytest.raises(asyncssh.ChannelOpenError, match="web1 cannot be reached: its address is ") as refused:
        await connection.open_connection("web1", gate.host.port)
    assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
    assert gate.host.connected == 0
    connection.close()


@pytest.mark.parametrize("form", ["{}", "::ffff:{}", "64:ff9b::{}"])
async def test_an_address_of_this_machine_is_not_dialled(gate, monkeypatch, form):
    """A target of members does not lead to the server itself, by any of its addresses in any form."""
    own = _own_address()
    if own is None:
        pytest.skip("this machine has no address but loopback")
    _allow(gate, "0.0.0.0/0")
    await gate.add("web1", "web1.clinic.example")
    await _by_a_member(gate, "web1")
    _resolve(monkeypatch, [form.format(own)])
    connection = await gate.connect()
    with pytest.raises(asyncssh.ChannelOpenError, match="its address is an address of this server"):
        await connection.open_connection("web1", gate.host.port)
    connection.close()


async def test_a_host_is_resolved_once(gate, monkeypatch):
    """A resolver that answers differently the second time is not asked a second time."""
    await gate.add("web1", "web1.clinic.example")
    asked = _resolve(monkeypatch, ["127.0.0.1"], ["127.0.0.9"])
    connection = await gate.connect()
    _, writer = await connection.open_connection("web1", gate.host.port)
    assert (len(asked), gate.host.connected) == (1, 1)
    writer.close()
    connection.close()


@contextmanager
def silent() -> Iterator[int]:
    """Have nothing answer at a port, because its queue is full."""
    with ExitStack() as held:
        full, *fillers = (held.enter_context(socket.socket()) for _ in range(5))
        full.bind((HOST, 0))
        full.listen(0)
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()[1]


async def test_a_target_that_does_not_answer(people):
    """Its client is told so in time."""
    async with gate_of(people, Limits(dial_seconds=0.5)) as gate:
        with silent() as port:
            await gate.add("db1", port=port)
            connection = await gate.connect()
            with pytest.raises(asyncssh.ChannelOpenError, match=r"db1 did not answer within 0\.5 seconds"):
                await connection.open_connection("db1", port)
            connection.close()


async def test_the_address_that_answers_is_used(people, monkeypatch):
    """One that does not answer holds up no one until its time is over, and is counted while it is dialled."""
    async with gate_of(people, Limits(dial_seconds=3600)) as gate:
        with silent() as port:
            behind = await asyncio.start_server(gate.host.take, "127.0.0.2", port)
            for name in ("dead", "both"):
                await gate.add(name, f"{name}.example", port=port)
            _resolve(monkeypatch, [HOST] * 4, [HOST, "127.0.0.2"])
            connection = await gate.connect()
            dead = asyncio.ensure_future(connection.open_connection("dead", port))
            await until(lambda: gate.server._context.dialler.spare_sockets == 3)
            reader, writer = await connection.open_connection("both", port)
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            (opened,) = await gate.audited("jump.opened")
            assert json.loads(opened)["address"] == "127.0.0.2"
            connection.abort()
            await asyncio.wait([dead])
            await until(lambda: gate.server._context.dialler.spare_sockets == 0)
            behind.close()


async def test_an_address_that_is_not_allowed_is_not_dialled_beside_others(gate, monkeypatch):
    """Each is judged before any is dialled, though it would answer first."""
    port = gate.host.port
    behind = await asyncio.start_server(gate.host.take, "127.0.0.2", port)
    _resolve(monkeypatch, [HOST, "127.0.0.2", HOST])
    dialled, address = await gate.server._context.dialler.dial(
        "db1", "db1.example", port, lambda each, _is_own: "is not allowed" if each == HOST else None
    )
    assert (address, dialled.getpeername()[0]) == ("127.0.0.2", "127.0.0.2")
    dialled.close()
    await until(lambda: gate.host.gone == 1)
    assert gate.host.connected == 1
    behind.close()


async def test_each_address_fails_in_its_way(gate, monkeypatch):
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    await gate.add("web1", "web1.example", port)
    _resolve(monkeypatch, [HOST, "255.255.255.255"])
    connection = await gate.connect()
    with pytest.raises(
        asyncssh.ChannelOpenError, match="web1 cannot be reached: none of its addresses answers"
    ):
        await connection.open_connection("web1", port)
    connection.close()


async def test_a_target_that_is_down(gate):
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    await gate.add("down", port=port)
    connection = await gate.connect()
    with pytest.raises(asyncssh.ChannelOpenError, match="down cannot be reached: Connection refused"):
        await connection.open_connection("down", port)
    connection.close()


async def test_a_resolver_that_hangs(people, monkeypatch):
    """It holds up neither who waits for it nor anyone else, however many ask."""
    async with gate_of(people, Limits(lookup_seconds=0.2, lookups=2)) as gate:
        release = threading.Event()
        real = socket.getaddrinfo

        def hang(host, *rest, **named):
            if _is_looked_up(host, **named):
                release.wait()
                raise socket.gaierror
            return real(host, *rest, **named)

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        for number in range(3):
            await gate.add(f"web{number}", f"web{number}.clinic.example")
        await gate.add("db1")
        connection = await gate.connect()
        for number in (0, 0, 1):
            with pytest.raises(asyncssh.ChannelOpenError, match="could not be looked up within"):
                await connection.open_connection(f"web{number}", gate.host.port)
        with pytest.raises(asyncssh.ChannelOpenError, match="Too many host names are being looked up"):
            await connection.open_connection("web2", gate.host.port)
        _, writer = await connection.open_connection("db1", gate.host.port)
        writer.close()
        release.set()
        connection.close()


async def test_limits_for_a_connection_and_a_user(people):
    async with gate_of(people, Limits(jumps_per_connection=3, jumps_per_user=4)) as gate:
        await gate.add("db1")
        first, second = await gate.connect(), await gate.connect()
        opened = [await first.open_connection("db1", gate.host.port) for _ in range(3)]
        with pytest.raises(asyncssh.ChannelOpenError, match="This connection has 3 open jumps"):
            await first.open_connection("db1", gate.host.port)
        await second.open_connection("db1", gate.host.port)
        with pytest.raises(asyncssh.ChannelOpenError, match="You have too many open jumps"):
            await second.open_connection("db1", gate.host.port)
        assert gate.metric('twofold_jumps_refused_total{reason="jumps_per_connection"}') == 1
        assert gate.metric('twofold_jumps_refused_total{reason="jumps_per_user"}') == 1
        opened[0][1].close()
        await until(lambda: gate.host.gone == 1)
        await until(lambda: gate.metric("twofold_jumps ") == 3)
        await second.open_connection("db1", gate.host.port)
        first.close()
        second.close()


async def test_neither_side_is_read_faster_than_the_other_reads(people):
    """What a target or a client leaves unread waits on the other side, not here."""
    async with gate_of(people) as gate:
        release = asyncio.Event()
        pushed = 0

        async def push(_reader, writer):
            nonlocal pushed
            writer.transport.set_write_buffer_limits(0)
            while not release.is_set():
                writer.write(bytes(65536))
                await writer.drain()
                pushed += 65536

        async def ignore(_reader, _writer):
            await release.wait()

        await gate.add("db1")
        connection = await gate.connect()
        gate.host.serve = push
        reader, _ = await connection.open_connection("db1", gate.host.port, window=65536)
        reader.channel.pause_reading()
        await _stands_still(lambda: pushed)
        assert 0 < pushed < 20 * MB
        gate.host.serve = ignore
        _, writer = await connection.open_connection("db1", gate.host.port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_write_for_ever(writer), 1)
        jumps = _jumps(gate)
        assert all(jump.sent < 20 * MB for jump in jumps)
        release.set()
        connection.abort()
        await until(lambda: not gate.server.jump_ids())


async def test_a_connection_with_a_jump_is_used(people):
    """`-W` opens no session, and its connection is not closed as unused; without a jump, one is."""
    async with gate_of(people, Limits(unused_seconds=2)) as gate:
        await gate.add("db1")
        used = await gate.connect()
        reader, writer = await used.open_connection("db1", gate.host.port)
        unused = await gate.connect()
        await asyncio.wait_for(unused.wait_closed(), WITHIN)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        used.close()


async def test_an_idle_jump_ends(people):
    """The connection goes on."""
    async with gate_of(people, Limits(idle_minutes=0.02)) as gate:
        await gate.add("db1")
        connection = await gate.connect()
        reader, _ = await connection.open_connection("db1", gate.host.port)
        assert await asyncio.wait_for(reader.read(), WITHIN) == b""
        assert "nothing passed for 0.02 minutes" in await gate.closed()
        connection.close()


async def test_a_target_is_not_read_for_a_client_that_has_closed(people):
    """What it leaves unread waits until the jump is idle for too long; what it sends is not counted."""
    async with gate_of(people, Limits(idle_minutes=0.05)) as gate:
        await gate.add("db1")
        closed = asyncio.Event()

        async def push_unread(reader, writer):
            reader._transport.pause_reading()
            await closed.wait()
            while True:
                writer.write(bytes(65536))
                await writer.drain()

        gate.host.serve = push_unread
        connection = await gate.connect()
        _, writer = await connection.open_connection("db1", gate.host.port)
        (jump,) = _jumps(gate)
        served: Any = jump._channel
        while not served._recv_buf:
            writer.write(bytes(65536))
            await asyncio.sleep(0.001)
        writer.channel.abort()
        await until(lambda: served._recv_state == "close_pending", WITHIN)
        assert not jump.is_over
        closed.set()
        assert "nothing passed for 0.05 minutes" in await gate.closed()
        assert jump.received == 0
        connection.close()


async def test_a_jump_that_is_left_unread_ends_alone(people):
    """Its client answers the close only once it is read; what else it does over the connection goes on."""
    async with gate_of(people, Limits(idle_minutes=0.04, unread_seconds=0.1)) as gate:
        await gate.add("db1")
        alone, connection = await gate.connect(), await gate.connect()
        reader, writer = await connection.open_connection("db1", gate.host.port)
        (used,) = _jumps(gate)
        for each in (alone, connection):
            unread, _ = await each.open_connection("db1", gate.host.port)
            unread.channel.process_packet = lambda *_: True
        for jump in _jumps(gate):
            if jump is not used:
                jump.end("a test ends it", at_once=True)
        await asyncio.wait_for(alone.wait_closed(), WITHIN)
        await asyncio.sleep(0.2)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert gate.metric("twofold_jumps ") == 2, "both are still the user's"
        writer.close()
        await asyncio.wait_for(connection.wait_closed(), WITHIN)  # As one that nothing uses.
        await until(lambda: gate.metric("twofold_jumps ") == 0, WITHIN)


async def test_what_is_taken_away_ends_within_seconds(gate):
    """The server looks for it by itself; on other nodes too, as the tests of nodes show."""
    connection = await gate.connect()
    reader, writer = await connection.open_connection("db1", gate.host.port)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    store = gate.people.store
    assert isinstance(await store.run(lifecycle.set_active, OPERATOR, "alice", active=False), Done)
    await until(lambda: gate.host.gone == 1, WITHIN)
    assert "the client left" not in await gate.closed()
    connection.close()


async def test_who_moves_out_of_the_practice_of_a_target_is_cut_off(gate):
    await gate.add("db2", practices=("Main",))
    connection = await gate.connect()
    await connection.open_connection("db2", gate.host.port)
    store = gate.people.store
    assert isinstance(await store.run(practices.add_practice, OPERATOR, "North"), Done)
    assert isinstance(await store.run(practices.move_user, OPERATOR, "alice", "North"), Done)
    await until(lambda: gate.host.gone == 1, WITHIN)
    assert "the client left" not in await gate.closed()
    connection.close()


async def test_a_killed_client_leaves_nothing_behind(gate):
    """In the middle of a transfer: the target is told, and row, audit log and metrics agree."""

    async def push(_reader, writer):
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    gate.host.serve = push
    connection = await gate.connect()
    reader, _ = await connection.open_connection("db1", gate.host.port)
    await reader.readexactly(MB)
    await note_carried(gate.server, gate.people.store)
    kept = await gate.people.store.read(lambda _tx: models.Jump.get().received)
    assert kept >= MB
    connection.abort()
    await gate.closed()
    await until(lambda: gate.host.gone == 1)
    await until(lambda: gate.metric("twofold_jumps ") == 0)
    assert await gate.people.store.read(lambda _tx: models.Jump.select().count()) == 0
    carried = gate.metric('twofold_jump_bytes_total{direction="from"}')
    assert f'"received": {carried:.0f}' in await gate.closed()


async def _by_a_member(gate: Gate, name: str) -> None:
    table = models.Target
    change = table.update(by_operator=False).where(table.name == name)
    await gate.people.store.run(lambda _tx: change.execute())


def _allow(gate: Gate, *networks: str) -> None:
    store = gate.people.store
    store.services = replace(store.services, forwarding=tuple(map(ip_network, networks)))


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names in .example resolve to these, one after the other; return a list of what was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if not _is_looked_up(host, **named):
            return real(host, port, *rest, **named)
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(str(host))
        return [each for address in found for each in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def _is_looked_up(host: Any, flags: int = 0, **_named: Any) -> bool:
    return str(host).endswith(".example") and not flags & socket.AI_NUMERICHOST


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # This sends nothing.
        except OSError:
            return None
        return str(asking.getsockname()[0])


def _jumps(gate: Gate) -> list[Any]:
    connections = gate.server._context.connections
    return [jump for connection in connections for jump in connection.channels.forwarding.jumps]


async def _stands_still(number: Any) -> None:
    before = -1
    while number() != before or before == 0:
        before = number()
        await asyncio.sleep(0.3)


async def _write_for_ever(writer: Any) -> None:
    while True:
        writer.write(bytes(65536))
        await writer.drain()
