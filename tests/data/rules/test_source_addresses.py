"""When two addresses count as one source."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.source_addresses import (
    is_address,
    normalise,
    parse_network,
    source_in_words,
    source_of,
    unmapped,
)

NAT64 = IPv6Network("64:ff9b::/96")


@pytest.mark.parametrize(
    ("address", "short", "source"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("::FFFF:C000:0207", "192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:1::00ab", "2001:db8:0:1::ab", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::/64%eth0"),
        ("fe80::1%25", "fe80::1%25", "fe80::/64%25"),
        ("fe80::1", "fe80::1", "fe80::/64"),
        ("2001:db8::1%eth0", "2001:db8::1", "2001:db8::/64"),
        ("64:ff9b::192.0.2.7", "64:ff9b::c000:207", "192.0.2.7"),
        ("64:ff9b::192.0.2.8", "64:ff9b::c000:208", "192.0.2.8"),
        ("64:ff9b::1:0:0:1", "64:ff9b::1:0:0:1", "64:ff9b::/64"),
        ("::1", "::1", "::/64"),
        ("local", "local", "local"),
        ("", "", ""),
        ("not:an:address", "not:an:address", "not:an:address"),
    ],
)
def test_an_address_and_the_source_it_counts_under(address, short, source):
    assert normalise(address) == short
    assert source_of(address) == source


@pytest.mark.parametrize("text", ["fe80::1%eth0", "::1%a,0.0.0.0/0", "::%\n/64", "%", "10.0.0.1%a"])
def test_a_zone_is_no_part_of_a_network(text):
    """Any character can stand in a zone, also those that separate networks."""
    assert parse_network(text) is None
    assert not is_address(text)


@given(st.ip_addresses(v=4))
def test_ipv4_spellings(address: IPv4Address):
    """An IPv4 address is its own source in every spelling."""
    assert source_of(str(address)) == source_of(f"::ffff:{address}") == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_ipv6_network_is_one_source(address: IPv6Address, host):
    if address.ipv4_mapped or address in NAT64:
        return
    network = ip_network(f"{address}/64", strict=False)
    neighbour = network[host]
    assert source_of(str(address)) == str(network)
    if not neighbour.ipv4_mapped and neighbour not in NAT64:
        zone = "%eth0" if address.is_link_local else ""
        assert source_of(f"{neighbour}%eth0") == f"{network}{zone}"


@given(st.ip_addresses(v=4))
def test_translated_ipv4(address: IPv4Address):
    assert source_of(str(NAT64[int(address)])) == str(address)


@given(st.text(alphabet=st.characters(codec=None)))
def test_what_is_no_address_raises_nothing(text):
    assert normalise(normalise(text)) == normalise(text)
    source_of(text)


def test_a_source_on_the_host_is_named_once():
    assert source_in_words("ssh", "192.0.2.1") == "ssh 192.0.2.1"
    assert source_in_words("local", "local") == "local"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:a00:0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
    ],
)
def test_unmapped(written, meant):
    """Only what lies within the mapped addresses stands for IPv4 addresses."""
    network = ip_network(written, strict=False)
    assert str(unmapped(network)) == meant
