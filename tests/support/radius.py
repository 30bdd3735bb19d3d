"""Applications that ask by RADIUS: a real server, asked by `radclient` or with packets by hand."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pyrad.packet import AccessRequest, AuthPacket
from support.database import OPERATOR, World

from data.authserver.radius_listener import serving_radius
from data.authserver.verification import Verifier
from data.delivery.carriers import Carriers
from data.operations.applications import registry
from data.rules.applications import Asks, NewApplication, Protocol
from sshserver.telemetry import crash_reports

HOST = "127.0.0.1"
ACCEPT, REJECT, CHALLENGE = 2, 3, 11
NAMES = {"Access-Accept": ACCEPT, "Access-Reject": REJECT, "Access-Challenge": CHALLENGE}


@dataclass
class RadiusPort:
    """The port of a server, and how many packets it has not answered, by reason."""

    port: int
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Replied:
    """What `radclient` has received: the code, and the attributes in their order; 0 if nothing came."""

    code: int
    attributes: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str:
        return next(value for key, value in self.attributes if key == name)


def add_client(world: World, asks: Asks = Asks.CODE, name: str = "vpn", **options: Any) -> bytes:
    """Register an application that asks by RADIUS, and return its secret."""
    new = NewApplication(name, Protocol.RADIUS, asks, **options)
    made = world.run(registry.add_application, OPERATOR, new)
    assert isinstance(made, registry.NewSecret), made
    return made.secret.encode()


@asynccontextmanager
async def radius_server(
    world: World, carriers: Carriers | None = None, port: int = 0, *, shared: bool = False
) -> AsyncIterator[RadiusPort]:
    """Serve RADIUS on a port, or on a free one."""
    found = RadiusPort(0)
    serving = serving_radius(
        world.store,
        Verifier(world.store, carriers),
        HOST,
        port,
        lambda why: found.counts.update([why]),
        crash_reports.report,
        shared=shared,
        drain_seconds=5,
    )
    async with serving as found.port:
        yield found


def request(secret: bytes, *, code: int = AccessRequest, signed: bool = True, **attributes: Any) -> bytes:
    """Write a request; an attribute is `a1=b"..."` by its number, and `password="..."` is hidden."""
    packet = AuthPacket(code=code, secret=secret)
    packet.authenticator = packet.CreateAuthenticator()
    if "password" in attributes:
        packet[2] = [packet.PwCrypt(attributes.pop("password"))]
    for name, value in attributes.items():
        packet[int(name[1:])] = value if isinstance(value, list) else [value]
    if signed:
        packet.add_message_authenticator()
    return packet.RequestPacket()


class Client:
    """A socket that sends packets and gets replies."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((host, 0))
        self.socket.connect((HOST, port))

    def send(self, data: bytes) -> None:
        self.socket.send(data)

    async def receive(self, seconds: float = 60) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 5_000), seconds)

    async def ask(self, data: bytes) -> bytes:
        self.send(data)
        return await self.receive()

    def nothing_came(self) -> bool:
        try:
            self.socket.recv(5_000)
        except BlockingIOError:
            return True
        return False


def verified(reply: bytes, sent: bytes, secret: bytes) -> AuthPacket:
    """Read a reply, which must be signed for what was sent, with the signature first."""
    asked = AuthPacket(secret=secret, packet=sent)
    answer = asked.CreateReply(packet=reply)
    assert asked.VerifyReply(answer, reply, enforce_ma=True)
    assert reply[20] == 80
    return answer


async def radclient(
    port: int, secret: bytes, kind: str = "auth", tries: int = 20, **attributes: str
) -> Replied:
    """Ask as `radclient` does; `User_Name="ben"` is the attribute User-Name."""
    given = "\n".join(f"{name.replace('_', '-')} = {value}" for name, value in attributes.items())
    process = await asyncio.create_subprocess_exec(
        *("radclient", "-x", "-t", "1", "-r", str(tries), f"{HOST}:{port}", kind, secret.decode()),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed = (await process.communicate(given.encode()))[0].decode()
    received = re.search(r"^Received (\S+) .*\n((?:\t.*\n)*)", printed, re.MULTILINE)
    if received is None:
        return Replied(0, [])
    lines = [line.strip().partition(" = ") for line in received[2].splitlines()]
    return Replied(NAMES[received[1]], [(name, value.strip('"')) for name, _, value in lines])
