"""RADIUS packets (RFC 2865): what one asks, whose it is, and how an answer is written. No input or output.

pyrad reads and writes them. It does not look for duplicates, has no leniency for each client, and takes a
last attribute that was cut off; so these are judged by us.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pyrad.packet import (
    AccessAccept,
    AccessChallenge,
    AccessReject,
    AccessRequest,
    AuthPacket,
    PacketError,
    StatusServer,
)

from data.operations.applications.radius_clients import RadiusClient
from data.rules.applications import ReplyAttribute
from data.rules.safe_text import safe

MOST_BYTES: Final = 4_096
_HEAD_BYTES: Final = 20
_LENGTH: Final = slice(2, 4)
_ATTRIBUTE_HEAD: Final = 2
_LONGEST_VALUE: Final = 253
_LONGEST_PASSWORD: Final = 128
_SIGNATURE_BYTES: Final = 16

USER_NAME, USER_PASSWORD, CHAP_PASSWORD, REPLY_MESSAGE, STATE = 1, 2, 3, 18, 24
VENDOR, CALLING_STATION, PROXY_STATE, PROMPT, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 26, 31, 33, 76, 79, 80
NUMBERS: Final = {ReplyAttribute.FILTER_ID.value: 11, ReplyAttribute.CLASS.value: 25}
"""The numbers of what is told of users."""
_MICROSOFT: Final = (311).to_bytes(4)
_NO_ECHO: Final = (0).to_bytes(4)
_EAP_FAILURE: Final = 4

Attribute = tuple[int, bytes]
ACCEPT, REJECT, CHALLENGE = AccessAccept, AccessReject, AccessChallenge


class Dropped(StrEnum):
    """Why a packet gets no answer."""

    MALFORMED = "radius_malformed"
    UNKNOWN_CLIENT = "radius_unknown_client"
    WRONG_SECRET = "radius_wrong_secret"  # noqa: S105 - the name of a count.
    NO_MESSAGE_AUTHENTICATOR = "radius_no_message_authenticator"
    PROXY_STATE = "radius_proxy_state"
    BUSY = "radius_busy"


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A request that cannot be judged, by a method that would need passwords in plain text."""

    method: str


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A client asks whether the server is there (RFC 5997)."""


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """A client asks whether a user may sign in; `station` is from where the user comes, if it says so."""

    name: str = field(repr=False)
    answer: str = field(repr=False)
    state: bytes | None = field(repr=False)
    station: str


Asked = Unsupported | StatusRequest | AccessQuestion


def is_request(data: bytes) -> bool:
    """Whether a packet begins as one that may be answered: a cheap look that sorts out most rubbish."""
    if not _HEAD_BYTES <= len(data) <= MOST_BYTES or data[0] not in (AccessRequest, StatusServer):
        return False
    return _HEAD_BYTES <= int.from_bytes(data[_LENGTH]) <= len(data)


def open_packet(data: bytes, clients: Iterable[RadiusClient]) -> tuple[RadiusClient, AuthPacket] | Dropped:
    """Find which of the clients at an address has sent a packet: the one whose secret signs it.

    A packet without a signature is that of the first one that is lenient. It must not have passed a proxy:
    what makes an answer forgeable are attributes added on the way that look like a proxy's (CVE-2024-3596).
    """
    try:
        packet = AuthPacket(secret=b"", packet=data)
    except PacketError:
        return Dropped.MALFORMED
    values = [value for found in packet.values() for value in found]
    # pyrad takes a last attribute that is shorter than it says.
    if _HEAD_BYTES + sum(_ATTRIBUTE_HEAD + len(value) for value in values) != len(packet.raw_packet):
        return Dropped.MALFORMED
    signatures = packet.get(MESSAGE_AUTHENTICATOR, [])
    if signatures and [len(each) for each in signatures] != [_SIGNATURE_BYTES]:
        return Dropped.MALFORMED
    found = _sender(packet, clients) if signatures else _lenient_sender(packet, clients)
    if isinstance(found, Dropped):
        return found
    packet.secret = found.secret
    return found, packet


def _sender(packet: AuthPacket, clients: Iterable[RadiusClient]) -> RadiusClient | Dropped:
    for client in clients:
        if packet.verify_message_authenticator(secret=client.secret):
            return client
    return Dropped.WRONG_SECRET


def _lenient_sender(packet: AuthPacket, clients: Iterable[RadiusClient]) -> RadiusClient | Dropped:
    found = next((client for client in clients if client.lenient), None)
    # RFC 5997 section 3: a Status-Server is always signed.
    if found is None or packet.code == StatusServer:
        return Dropped.NO_MESSAGE_AUTHENTICATOR
    return Dropped.PROXY_STATE if PROXY_STATE in packet else found


def read_packet(packet: AuthPacket) -> Asked | Dropped:
    """Read what a packet asks whose sender is known."""
    if packet.code == StatusServer:
        return StatusRequest()
    method = _other_method(packet)
    if method is not None:
        return Unsupported(method)
    names, passwords, states = (packet.get(key, []) for key in (USER_NAME, USER_PASSWORD, STATE))
    if len(names) != 1 or len(passwords) > 1 or len(states) > 1:
        return Dropped.MALFORMED
    hidden = passwords[0] if passwords else b""  # Some clients leave an empty password out.
    if len(hidden) > _LONGEST_PASSWORD:
        return Dropped.MALFORMED
    try:
        answer = packet.PwDecrypt(hidden)
    except PacketError:
        return Dropped.MALFORMED
    stations = packet.get(CALLING_STATION, [])
    station = stations[0].decode("utf-8", "replace") if stations else ""
    return AccessQuestion(names[0].decode("utf-8", "replace"), answer, next(iter(states), None), station)


def _other_method(packet: AuthPacket) -> str | None:
    if any(value.startswith(_MICROSOFT) for value in packet.get(VENDOR, [])) and USER_PASSWORD not in packet:
        return "MS-CHAP"
    if EAP_MESSAGE in packet:
        return "EAP"
    return "CHAP" if CHAP_PASSWORD in packet else None


def write_reply(packet: AuthPacket, code: int, attributes: Iterable[Attribute] = ()) -> bytes:
    """Write the reply to a packet: Message-Authenticator first, and the Proxy-State of the request."""
    reply = packet.CreateReply()
    reply.code = code
    for key, value in attributes:
        reply.setdefault(key, []).append(value)
    eap = packet.get(EAP_MESSAGE, [b""])[0]
    if code == REJECT and len(eap) > 1:
        reply[EAP_MESSAGE] = [bytes((_EAP_FAILURE, eap[1], 0, 4))]  # RFC 3748 section 4.2.
    written: bytes = reply.ReplyPacket()
    return written


def shown(message: str) -> list[Attribute]:
    """Return the attributes that show a message to the user: one, or several if it is long."""
    attributes, line = [], b""
    for character in safe(message, 1_000):
        encoded = character.encode()
        if len(line) + len(encoded) > _LONGEST_VALUE:
            attributes.append((REPLY_MESSAGE, line))
            line = b""
        line += encoded
    return [*attributes, (REPLY_MESSAGE, line)] if line else attributes


def question(state: bytes, message: str) -> list[Attribute]:
    """Return the attributes that ask for an answer which is not shown while it is typed (RFC 2869)."""
    return [(STATE, state), *shown(message), (PROMPT, _NO_ECHO)]
