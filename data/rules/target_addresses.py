"""Which addresses a target may lead to: every one that its host resolves to is judged before it is dialled.

An address is judged as the one that is reached in the end, if it is one of those that carry another.
"""

from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from data.rules.source_addresses import Network

Address = IPv4Address | IPv6Address

_TRANSLATED = ip_network("64:ff9b::/96")
"""Under it, a NAT64 translator presents IPv4 addresses (RFC 6052 section 2.1)."""
_TRANSLATED_LOCALLY = ip_network("64:ff9b:1::/48")
"""Under it too, but where in the address the IPv4 address stands is up to each network (RFC 8215)."""
_COMPATIBLE = ip_network("::/96")
"""IPv4-compatible addresses (RFC 4291 section 2.5.5.1), deprecated, but for `::` and `::1`."""
_THIS_HOST = ip_network("0.0.0.0/8")
"""This host on this network (RFC 1122 section 3.2.1.3): Linux connects 0.0.0.0 to itself."""
_LAST_32_BITS = 0xFFFF_FFFF

_SPECIAL: tuple[tuple[Callable[[Address], bool], str], ...] = (
    (lambda it: it.is_loopback, "is a loopback address"),
    (lambda it: it.is_unspecified or it in _THIS_HOST, "is an unspecified address"),
    (lambda it: it.is_link_local, "is a link-local address"),
    (lambda it: it.is_multicast, "is a multicast address"),
    (lambda it: it in _TRANSLATED_LOCALLY, "is an address of a translator"),
    (lambda it: it.is_reserved, "is a reserved address"),
)


def reached_by(address: str) -> Address | None:
    """Return the address that a connection to an address reaches in the end; None if it is not an address.

    IPv4-mapped, IPv4-compatible, 6to4 (RFC 3056) and NAT64 addresses reach the IPv4 address in them.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    if (inner := parsed.ipv4_mapped or parsed.sixtofour) is not None:
        return inner
    compatible = parsed in _COMPATIBLE and not parsed.is_unspecified and not parsed.is_loopback
    return IPv4Address(int(parsed) & _LAST_32_BITS) if compatible or parsed in _TRANSLATED else parsed


def why_special(address: str) -> str | None:
    """Return why no member's target leads to an address, in whatever network; None if one may."""
    reached = reached_by(address)
    if reached is None:
        return "is not an address"
    return next((words for is_so, words in _SPECIAL if is_so(reached)), None)


def why_not_address(
    address: str, *, by_operator: bool, networks: Collection[Network], own: Collection[str]
) -> str | None:
    """Return why a target may not lead to an address, as the end of a sentence; None if it may.

    Targets that the operator added may lead anywhere; those of members into `networks`, and there to none of
    `own`, the server's own addresses.
    """
    reached = reached_by(address)
    if reached is None:
        return "is not an address"
    if by_operator:
        return None
    if reason := why_special(address):
        return reason
    if reached in {reached_by(each) for each in own}:
        return "is an address of this server"
    if not any(reached in network for network in networks):
        return "is not in [forwarding] networks of twofold.toml"
    return None
