"""Source addresses: when two of them count as the same source."""

from ipaddress import IPv6Address, ip_address, ip_network


def normalise(address: str) -> str:
    """Write an address in its shortest form; an IPv4-mapped IPv6 address is the IPv4 address.

    What is not an IP address (the local terminal) is returned as it is.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def source_of(address: str) -> str:
    """Return what an address is counted under: the IPv4 address itself, or the IPv6 /64 around it."""
    plain = normalise(address)
    if ":" not in plain:
        return plain
    try:
        return str(ip_network(f"{plain}/64", strict=False))
    except ValueError:
        return plain


def source_in_words(application: str, address: str) -> str:
    """Name the application and the address that something came from; on the host both are the same word."""
    return application if application == address else f"{application} {address}"
