"""The accounting of connections and sessions."""

from sshserver.limits import Limits, Lobby, Tally


def crowd(lobby, addresses):
    """Enter from each address; return the list that fills with the numbers of those dropped."""
    dropped = []
    for number, address in enumerate(addresses):
        lobby.enter(address, lambda number=number: dropped.append(number))
    return dropped


def test_the_eleventh_connection_of_a_source_drops_its_oldest():
    assert crowd(Lobby(Limits()), ["192.0.2.1"] * 12) == [0, 1]


def test_sources_do_not_crowd_each_other_out():
    assert crowd(Lobby(Limits()), [f"192.0.2.{n % 15 + 1}" for n in range(150)]) == []


def test_addresses_of_one_ipv6_network_are_one_source():
    assert crowd(Lobby(Limits()), [f"2001:db8:1:2::{n:x}" for n in range(11)]) == [0]
    assert crowd(Lobby(Limits()), [f"2001:db8:1:{n:x}::1" for n in range(11)]) == []


def test_an_ipv4_address_in_ipv6_clothes_is_the_same_source():
    mixed = ["192.0.2.1", "::ffff:192.0.2.1"] * 5
    assert crowd(Lobby(Limits()), [*mixed, "192.0.2.1"]) == [0]


def test_a_full_lobby_drops_the_oldest_of_all():
    addresses = [f"198.51.{n // 200}.{n % 200}" for n in range(202)]
    assert crowd(Lobby(Limits()), addresses) == [0, 1]


def test_who_has_left_is_neither_counted_nor_dropped():
    lobby = Lobby(Limits(connections_per_source=1))
    dropped = []
    place = lobby.enter("192.0.2.1", lambda: dropped.append(1))
    lobby.leave(place)
    lobby.leave(place)
    lobby.enter("192.0.2.1", lambda: dropped.append(2))
    assert dropped == []
    assert len(lobby) == 1


def test_a_dropped_connection_has_left_when_it_is_told():
    lobby = Lobby(Limits(connections_per_source=1))
    sizes = []
    lobby.enter("192.0.2.1", lambda: sizes.append(len(lobby)))
    lobby.enter("192.0.2.1", lambda: None)
    assert sizes == [0]
    assert len(lobby) == 1


def test_a_tally_allows_so_many_for_each_and_no_more():
    tally = Tally(2)
    assert [tally.take(7) for _ in range(3)] == [True, True, False]
    assert tally.take(8)
    tally.give_back(7)
    assert tally.take(7)


def test_a_tally_forgets_who_has_none():
    tally = Tally(1)
    tally.take(7)
    tally.give_back(7)
    assert len(tally) == 0
