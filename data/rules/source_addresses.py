"""Where sign-ins and acts come from, and when two addresses count as the same source."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from data.rules.domain_types import Application

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
"""The prefix under which a socket shows IPv4 addresses (RFC 4291 section 2.5.5.2)."""
_NAT64 = ip_network("64:ff9b::/96")
"""The prefix under which a translator presents IPv4 addresses (RFC 6052 section 2.1)."""
_LONGEST_ZONE = 15
"""Characters of an interface's name on Linux."""

_IPV4 = 4
_LIMIT = 64
"""Characters of an address that are read; an IPv6 address with its zone has fewer."""
_REMEMBERED = 1024
"""Addresses whose other forms are remembered: a sign-in asks for them six times."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sign-in or an act comes from: the application, and the source address (or `local`).

    `application` is one of `Application`, or the name of a registered one. `worker` is the process that it
    came to, if that is one that serves many.
    """

    application: str
    address: str
    worker: str | None = None


ON_HOST = Origin(Application.HOST, "host")
"""The origin of what the operator does, and of what happens by itself."""


def normalise(address: str) -> str:
    """Write an address in its shortest form; an IPv4-mapped IPv6 address is the IPv4 address.

    A link-local address keeps its zone: it means a different host on each link (RFC 4007 section 6).
    Anything that is not an IP address (the local terminal) is returned unchanged, cut to 64 characters.
    """
    return _normalised(address[:_LIMIT])


@lru_cache(_REMEMBERED)
def _normalised(address: str) -> str:
    plain, _, zone = address.partition("%")
    try:
        parsed = ip_address(plain)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        if parsed.is_link_local and zone:
            return f"{parsed}%{zone[:_LONGEST_ZONE]}"
    return str(parsed)


def parse_network(text: str) -> Network | None:
    """Read an address or a network such as `10.0.0.0/24`; None for anything else.

    An address with bits outside its network is invalid: it is not clear which of the two is meant. So is one
    with a zone, in which any character may stand.
    """
    if len(text) > _LIMIT or "%" in text:
        return None
    try:
        return ip_network(text.strip())
    except ValueError:
        return None


def unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv4-mapped one stands for; any other is returned as it is."""
    if not isinstance(network, IPv6Network) or not network.subnet_of(_MAPPED):
        return network
    address = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
    return IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))


def is_address(text: str) -> bool:
    """Whether a text is an IP address without a zone."""
    return "/" not in text and parse_network(text) is not None


def source_of(address: str) -> str:
    """Return the source that an address counts as: the IPv4 address itself, or its IPv6 /64.

    An IPv4 address behind a translator counts as itself, because all of them share one /64.
    """
    return _source_of(normalise(address))


@lru_cache(_REMEMBERED)
def _source_of(normal: str) -> str:
    plain, _, zone = normal.partition("%")
    if ":" not in plain:
        return plain
    try:
        parsed = IPv6Address(plain)
    except ValueError:
        return plain
    if parsed in _NAT64:
        return str(IPv4Address(int(parsed) & 0xFFFF_FFFF))
    network = str(ip_network((parsed, 64), strict=False))
    return f"{network}%{zone}" if zone else network


def network_of(address: str) -> str | None:
    """Return the network that counts as one place: the IPv4 /24 or the IPv6 /48; None without an address."""
    return _network_of(source_of(address))


@lru_cache(_REMEMBERED)
def _network_of(source: str) -> str | None:
    source, _, zone = source.partition("%")
    try:
        exact = ip_network(source)
    except ValueError:
        return None
    network = exact.supernet(new_prefix=24 if exact.version == _IPV4 else 48)
    return f"{network}%{zone}" if zone else str(network)


def place_in_words(application: str, address: str) -> str:
    """Say in a sentence where something came from, such as `over SSH from 192.0.2.1`."""
    if application == Application.SSH:
        return f"over SSH from {address}"
    return "on the host" if application == address else f"through {application} from {address}"


def source_in_words(application: str, address: str) -> str:
    """Return the application and the address that something came from; on the host both are the same word."""
    return application if application == address else f"{application} {address}"
