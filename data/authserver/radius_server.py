"""RADIUS for applications: which packets are answered, once each, however often they come.

Packets of strangers and damaged ones are dropped and counted before any work is done for them. A packet that
comes again, because its client got no answer in time, gets the answer that the first one got.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from pyrad.packet import AuthPacket

from data.authserver import radius_packets as packets
from data.authserver.radius_packets import AccessQuestion, Dropped, StatusRequest, Unsupported
from data.authserver.radius_state import open_state, seal_state
from data.authserver.request_slots import RequestSlots
from data.authserver.verification import NotJudgedError, Verifier
from data.operations.applications.asking import (
    Accept,
    AskingApplication,
    Challenge,
    Reject,
    Verdict,
    VerifyRequest,
)
from data.operations.applications.radius_clients import RadiusClient, radius_clients
from data.periodic import Report
from data.rules.applications import REJECTED, Asks
from data.rules.source_addresses import is_address, normalise, source_of
from data.store import Store, StoreUnavailableError

_log = logging.getLogger("twofold.radius")
READ_SECONDS: Final = 1.0
"""How often the clients are read: one that was added, changed or removed is known after that."""
KEPT_SECONDS: Final = 30.0
"""How long an answer is kept for a packet that comes again: about as long as clients try (RFC 5080)."""
MOST_KEPT: Final = 4_096
_MOST_SOURCES: Final = 4_096
_LOGGED_SECONDS: Final = 60.0
_LOGGED_METHOD_SECONDS: Final = 86_400.0
"""How often the same fault of a client is logged."""
EXPIRED: Final = "This sign-in has expired. Start again."
_QUESTION: Final = "Verification code:"
_TRANSACTION_BYTES: Final = 24

_FAULTS: Final = {
    Dropped.UNKNOWN_CLIENT: "no enabled application asks by RADIUS from there",
    Dropped.MALFORMED: "it is damaged, or no request of {}",
    Dropped.WRONG_SECRET: "it is not signed with the secret of {}",
    Dropped.NO_MESSAGE_AUTHENTICATOR: (
        "it has no Message-Authenticator, which {} must send. Upgrade the client; see: twofold help radius"
    ),
    Dropped.PROXY_STATE: "it has passed a proxy, and {} sends no Message-Authenticator",
}

SendReply = Callable[[bytes], object]
"""Sends an answer to where a packet came from."""
_Key = tuple[Any, bytes]


class RadiusServer:
    """Answers the packets of one process; `count` is called with why one was not."""

    def __init__(
        self, store: Store, verifier: Verifier, count: Callable[[str], object], report: Report
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._count = count
        self._report = report
        self._clients: tuple[RadiusClient, ...] | None = None
        self._at: dict[str, tuple[RadiusClient, ...]] = {}
        self._slots = RequestSlots()
        self._answers: OrderedDict[_Key, tuple[float, bytes]] = OrderedDict()
        self._judging: dict[_Key, asyncio.Task[None]] = {}
        self._logged: dict[object, float] = {}

    async def read_clients(self) -> None:
        """Read the clients again; while that fails nobody is answered, so that they ask another server."""
        try:
            clients = await self._store.read(radius_clients)
        except BaseException:
            self._clients = None
            raise
        if clients != self._clients:
            self._clients = clients
            self._at.clear()

    def receive(self, data: bytes, address: Any, send: SendReply) -> None:
        """Take a packet from an address, whose first part is the host; it is answered by `send`, or never."""
        if self._clients is None:
            return
        clients = self._clients_at(str(address[0]))
        if not clients:
            self._drop(Dropped.UNKNOWN_CLIENT, address, ())
        elif not packets.is_request(data):
            self._drop(Dropped.MALFORMED, address, clients)
        else:
            self._take(data, clients, address, send)

    async def drain(self, seconds: float) -> None:
        """Let what is being judged end, for at most so many seconds."""
        if self._judging:
            await asyncio.wait(self._judging.values(), timeout=seconds)

    def _take(self, data: bytes, clients: tuple[RadiusClient, ...], address: Any, send: SendReply) -> None:
        key = (address, sha256(data).digest())
        if key in self._judging:
            return  # Its answer is sent when there is one, and reaches who asks again.
        kept = self._answers.get(key)
        if kept is not None and kept[0] > time.monotonic():
            send(kept[1])
            return
        opened = packets.open_packet(data, clients)
        if isinstance(opened, Dropped):
            self._drop(opened, address, clients)
            return
        client, packet = opened
        asked = packets.read_packet(packet)
        match asked:
            case Dropped():
                self._drop(asked, address, clients)
            case StatusRequest():
                send(packets.write_reply(packet, packets.ACCEPT))
            case Unsupported(method):
                self._log_unsupported(client, str(address[0]), method)
                self._count("radius_unsupported")
                send(packets.write_reply(packet, packets.REJECT))
            case AccessQuestion():
                task = asyncio.ensure_future(self._answer(key, client, packet, asked, send))
                self._judging[key] = task
                task.add_done_callback(lambda _ended: self._judging.pop(key, None))

    async def _answer(
        self, key: _Key, client: RadiusClient, packet: AuthPacket, asked: AccessQuestion, send: SendReply
    ) -> None:
        """Judge a request and answer it; without a database or a free slot it gets no answer."""
        station = asked.station.strip() if is_address(asked.station.strip()) else None
        try:
            with self._slots.taken(client.id, source_of(station or "")) as given:
                if not given:
                    self._count(Dropped.BUSY)
                    return
                asking = client.asking_from(normalise(str(key[0][0])))
                verdict = await self._judge(asking, asked, station)
                reply = self._reply(asking, packet, asked, verdict)
        except (NotJudgedError, StoreUnavailableError):  # The client asks again.
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the next packet is answered.
            self._report(error, "Answering a RADIUS request")
            return
        if len(reply) <= packets.MOST_BYTES:
            self._keep(key, reply)
            send(reply)

    async def _judge(self, asking: AskingApplication, asked: AccessQuestion, station: str | None) -> Verdict:
        request = VerifyRequest(asked.name, asked.answer, from_address=station, once=True)
        if asked.state is not None:
            services = self._store.services
            known = open_state(services.vault, asking, asked.name, asked.state, services.clock())
            if known is None:
                return Reject(EXPIRED if asking.asks.has_password else REJECTED)
            request = replace(request, transaction_id=known)
        elif asking.asks is Asks.CODE and not asking.may_send and not asked.answer:
            # pam_radius with skip_passwd sends nothing first, and then shows this question.
            return Challenge(secrets.token_urlsafe(_TRANSACTION_BYTES), _QUESTION)
        return await self._verifier.verify(asking, request)

    def _reply(
        self,
        asking: AskingApplication,
        packet: AuthPacket,
        asked: AccessQuestion,
        verdict: Verdict,
    ) -> bytes:
        match verdict:
            case Accept(_, message, told):
                attributes = [(packets.NUMBERS[name], value.encode()) for name, value in told]
                return packets.write_reply(packet, packets.ACCEPT, [*packets.shown(message), *attributes])
            case Reject(message):
                return packets.write_reply(packet, packets.REJECT, packets.shown(message))
            case Challenge(transaction_id, message):
                services = self._store.services
                state = seal_state(services.vault, asking, asked.name, transaction_id, services.clock())
                return packets.write_reply(packet, packets.CHALLENGE, packets.question(state, message))

    def _keep(self, key: _Key, reply: bytes) -> None:
        """Keep an answer for a while; the oldest go when there are too many."""
        now = time.monotonic()
        self._answers[key] = (now + KEPT_SECONDS, reply)
        self._answers.move_to_end(key)
        while len(self._answers) > MOST_KEPT or next(iter(self._answers.values()), (now + 1,))[0] <= now:
            self._answers.popitem(last=False)

    def _clients_at(self, host: str) -> tuple[RadiusClient, ...]:
        """Return who asks from an address; whose network is the smallest comes first."""
        found = self._at.get(host)
        if found is None:
            here = ip_address(normalise(host).partition("%")[0])
            fits = {
                client: max((each.prefixlen for each in client.networks if here in each), default=None)
                for client in self._clients or ()
            }
            near = [client for client, prefix in fits.items() if prefix is not None]
            found = tuple(sorted(near, key=lambda client: -(fits[client] or 0)))
            if len(self._at) >= _MOST_SOURCES:
                self._at.clear()
            self._at[host] = found
        return found

    def _drop(self, why: Dropped, address: Any, clients: tuple[RadiusClient, ...]) -> None:
        self._count(why)
        names = ", ".join(client.name for client in clients)
        if why in _FAULTS and self._may_log((why, names)):
            _log.warning("A packet from %s was dropped: %s.", address[0], _FAULTS[why].format(names))

    def _log_unsupported(self, client: RadiusClient, host: str, method: str) -> None:
        if self._may_log((client.id, method), _LOGGED_METHOD_SECONDS):
            _log.warning(
                "%s at %s is rejected: %s needs passwords stored in plain text. Set the client to PAP.",
                client.name,
                host,
                method,
            )

    def _may_log(self, what: object, seconds: float = _LOGGED_SECONDS) -> bool:
        """Whether it is time to log a fault again; what is told apart is bounded by the applications."""
        now = time.monotonic()
        if now < self._logged.get(what, 0.0):
            return False
        self._logged[what] = now + seconds
        return True
