"""The accounting of connections and sessions, of one server and of several workers together."""

from functools import partial
from random import Random

import pytest

from sshserver.limits.limit_values import Limits
from sshserver.limits.per_user import AwaitingSecondFactor, ConcurrencyLimit
from sshserver.limits.shared_counters import Counted, SharedCounters, SharedCounts
from sshserver.limits.unauthenticated import Penalties, Progress, UnauthenticatedConnections


def crowd(unauthenticated, addresses):
    """Enter from each address; return the list that fills with the numbers of those dropped."""
    dropped = []
    for number, address in enumerate(addresses):
        unauthenticated.enter(address, lambda number=number: dropped.append(number))
    return dropped


def test_eleventh_connection_drops_the_oldest():
    assert crowd(UnauthenticatedConnections(Limits()), ["192.0.2.1"] * 12) == [0, 1]


def test_sources_do_not_crowd_each_other_out():
    assert crowd(UnauthenticatedConnections(Limits()), [f"192.0.2.{n % 15 + 1}" for n in range(150)]) == []


def test_addresses_of_one_ipv6_network_are_one_source():
    assert crowd(UnauthenticatedConnections(Limits()), [f"2001:db8:1:2::{n:x}" for n in range(11)]) == [0]
    assert crowd(UnauthenticatedConnections(Limits()), [f"2001:db8:1:{n:x}::1" for n in range(11)]) == []


def test_ipv4_mapped_address():
    mixed = ["192.0.2.1", "::ffff:192.0.2.1"] * 5
    assert crowd(UnauthenticatedConnections(Limits()), [*mixed, "192.0.2.1"]) == [0]


def test_full_place_drops_the_oldest_of_all():
    addresses = [f"198.51.{n // 200}.{n % 200}" for n in range(202)]
    assert crowd(UnauthenticatedConnections(Limits()), addresses) == [0, 1]


def test_who_has_come_furthest_makes_room_last():
    limits = Limits(connections_per_source=3, unauthenticated_connections=3)
    for source in ("192.0.2.1", "198.51.100.1"):  # Room in one source, and room in all.
        unauthenticated, dropped = UnauthenticatedConnections(limits), []
        for progress in reversed(Progress):
            drop = partial(dropped.append, progress)
            unauthenticated.enter("192.0.2.1", drop).progress = progress
        for _ in range(2):
            unauthenticated.enter(source, lambda: None).progress = Progress.ANSWERED
        assert dropped == [Progress.CONNECTED, Progress.ENCRYPTED]


def test_places_kept_for_key_exchange():
    """An eighth of the places is left to those who exchange keys."""
    unauthenticated, dropped = UnauthenticatedConnections(Limits(unauthenticated_connections=16)), []
    for number in range(40):
        progress = Progress.CONNECTED if number % 7 > 3 else Progress.ENCRYPTED
        unauthenticated.enter(str(number), lambda known=progress: dropped.append(known)).progress = progress
        exchanging = sum(pending.progress is Progress.CONNECTED for pending in unauthenticated._pending)
        assert len(unauthenticated) < 16 or exchanging >= 2
    assert set(dropped) == set(Progress) - {Progress.ANSWERED}


def test_largest_source_makes_room():
    unauthenticated, dropped = UnauthenticatedConnections(Limits(unauthenticated_connections=7)), []
    for source in "abbbccd":
        unauthenticated.enter(
            source, lambda known=source: dropped.append(known)
        ).progress = Progress.ENCRYPTED
    for source in "efg":
        unauthenticated.enter(source, lambda: None).progress = Progress.ENCRYPTED
    assert dropped[0] == "b"
    assert sorted(dropped[1:]) == ["b", "c"]


def test_stranger_makes_room_before_sign_ins():
    """Where few are here, a stranger makes room and nobody who is signing in."""
    unauthenticated, dropped = UnauthenticatedConnections(Limits(connections_per_source=5)), []
    for number in range(4):
        unauthenticated.enter("192.0.2.1", partial(dropped.append, number)).progress = Progress.ENCRYPTED
    for _ in range(5):
        unauthenticated.enter("192.0.2.1", partial(dropped.append, "stranger"))
    assert dropped == ["stranger"] * 4


def test_newest_are_spared():
    now = [0.0]
    unauthenticated, dropped = (
        UnauthenticatedConnections(Limits(unauthenticated_connections=6), clock=lambda: now[0]),
        [],
    )
    for source in "abc":
        unauthenticated.enter(source, partial(dropped.append, source))
    now[0] = 2.0
    for source in "xxx":
        unauthenticated.enter(source, partial(dropped.append, source))
    for source in "uvwy":
        unauthenticated.enter(source, lambda: None)
    assert dropped == ["a", "b", "c", "x"]


def test_no_one_can_aim_at_a_person_who_types_slowly():
    survived = 0
    for _ in range(400):
        unauthenticated, dropped = UnauthenticatedConnections(Limits(connections_per_source=4)), []
        unauthenticated.enter("192.0.2.1", lambda gone=dropped: gone.append(1)).progress = Progress.ENCRYPTED
        for _ in range(12):
            unauthenticated.enter("192.0.2.1", lambda: None).progress = Progress.ENCRYPTED
        survived += not dropped
    assert (
        50 <= survived <= 180
    )  # Three places of twelve are kept: a quarter survives, and never the oldest alone.


def test_penalty_for_making_room(shared_counters):
    """A source is penalised for a while for each that had to make room."""
    now = [0.0]
    first, second = (
        Penalties(60, SharedCounts(shared_counters, n, Counted.PENALTIES), clock=lambda: now[0])
        for n in range(2)
    )
    crowd(UnauthenticatedConnections(Limits(connections_per_source=2), penalties=first), ["192.0.2.1"] * 4)
    now[0] = 30.0
    second.add("192.0.2.1")
    assert (first.of("192.0.2.1"), second.of("192.0.2.1"), first.of("192.0.2.2")) == (3, 3, 0)
    now[0] = 60.0
    assert first.of("192.0.2.1") == 1
    now[0] = 90.0
    second.of("192.0.2.2")
    assert first.of("192.0.2.1") == 0


def test_no_source_fills_the_memory_of_penalties():
    penalties = Penalties(60, clock=lambda: 0.0)
    for _ in range(100_000):
        penalties.add("192.0.2.1")
    assert penalties.of("192.0.2.1") == len(penalties._ends) == 16


def test_who_has_left_is_neither_counted_nor_dropped():
    unauthenticated = UnauthenticatedConnections(Limits(connections_per_source=1))
    dropped = []
    place = unauthenticated.enter("192.0.2.1", lambda: dropped.append(1))
    unauthenticated.leave(place)
    unauthenticated.leave(place)
    unauthenticated.enter("192.0.2.1", lambda: dropped.append(2))
    assert dropped == []
    assert len(unauthenticated) == 1


def test_a_dropped_connection_has_left_when_it_is_told():
    unauthenticated = UnauthenticatedConnections(Limits(connections_per_source=1))
    sizes = []
    unauthenticated.enter("192.0.2.1", lambda: sizes.append(len(unauthenticated)))
    unauthenticated.enter("192.0.2.1", lambda: None)
    assert sizes == [0]
    assert len(unauthenticated) == 1


def test_oldest_of_the_same_user_makes_room():
    """Of those who wait for a code only the same user's oldest makes room."""
    awaiting_code, dropped = AwaitingSecondFactor(2), []
    places = [awaiting_code.enter(1, lambda number=number: dropped.append(number)) for number in range(3)]
    awaiting_code.enter(2, lambda: dropped.append("another user"))
    assert dropped == [0]
    awaiting_code.leave(1, places[0])
    awaiting_code.leave(1, places[1])
    awaiting_code.enter(1, lambda: None)
    assert dropped == [0]


def test_awaiting_a_code_is_forgotten_at_the_end():
    awaiting_code = AwaitingSecondFactor(2)
    place = awaiting_code.enter(1, lambda: None)
    awaiting_code.leave(1, place)
    awaiting_code.leave(1, place)
    assert awaiting_code._waiting == {}


def test_a_tally_allows_so_many_for_each_and_no_more():
    tally = ConcurrencyLimit(2)
    assert [tally.take(7) for _ in range(3)] == [True, True, False]
    assert tally.take(8)
    tally.give_back(7)
    assert tally.take(7)


def test_a_tally_forgets_who_has_none():
    tally = ConcurrencyLimit(1)
    tally.take(7)
    tally.give_back(7)
    assert len(tally) == 0


@pytest.fixture
def shared_counters():
    made = SharedCounters.create(3)
    yield made
    made.close()


def lobbies(shared_counters, limits, **options):
    kinds = (Counted.SOURCES, Counted.CONNECTIONS)
    return [
        UnauthenticatedConnections(
            limits, *(SharedCounts(shared_counters, n, kind) for kind in kinds), **options
        )
        for n in range(shared_counters.workers)
    ]


@pytest.mark.parametrize(("spared", "times"), [(0, 1), (60, 2)])
@pytest.mark.parametrize("sources", [1, 40])
def test_limits_are_those_of_the_node(shared_counters, sources, spared, times):
    """Twice as many at most, for as long as all of them have just come."""
    limits = Limits(connections_per_source=7, unauthenticated_connections=20, spared_seconds=spared)
    workers = lobbies(shared_counters, limits)
    random = Random(4)
    most = limits.connections_per_source if sources == 1 else limits.unauthenticated_connections
    largest = 0
    for number in range(2_000):
        unauthenticated = workers[0] if number < 30 else random.choice(workers)
        unauthenticated.enter(f"192.0.2.{random.randrange(sources)}", lambda: None)
        largest = max(largest, sum(map(len, workers)))
    assert most <= largest <= most * times


def test_full_worker_blocks_no_other(shared_counters):
    workers = lobbies(shared_counters, Limits(connections_per_source=5, unauthenticated_connections=5))
    crowd(workers[0], ["192.0.2.1"] * 10)
    for unauthenticated in workers[1:]:
        unauthenticated.enter("192.0.2.1", lambda: None)
        assert len(unauthenticated) == 1


def test_worker_within_its_share(shared_counters):
    """It keeps who is signing in, and the other drops who is not."""
    limits = Limits(unauthenticated_connections=9, spared_seconds=0)
    first, second, _ = workers = lobbies(shared_counters, limits)
    crowd(second, [f"198.51.100.{number}" for number in range(20)])
    dropped = []
    for number in range(3):
        drop = partial(dropped.append, number)
        first.enter(f"192.0.2.{number}", drop).progress = Progress.ENCRYPTED
    assert dropped == []
    crowd(second, ["198.51.100.20"])
    assert sum(map(len, workers)) == 9
    first.enter("192.0.2.3", lambda: None)
    assert len(dropped) == 1


def test_a_tally_is_of_all_workers_together(shared_counters):
    first, second = (
        ConcurrencyLimit(2, SharedCounts(shared_counters, n, Counted.SESSIONS)) for n in range(2)
    )
    assert [first.take(7), second.take(7), first.take(7), second.take(7)] == [True, True, False, False]
    second.give_back(7)
    assert first.take(7)
    assert not second.take(7)


def test_dead_worker_is_wiped(shared_counters):
    first, second = (
        ConcurrencyLimit(2, SharedCounts(shared_counters, n, Counted.SESSIONS)) for n in range(2)
    )
    assert [first.take(7), second.take(7)] == [True, True]
    shared_counters.wipe(0)
    assert second.take(7)
    assert not second.take(7)


def test_a_board_is_shared_by_its_descriptor(shared_counters):
    again = SharedCounters(shared_counters.descriptor, shared_counters.workers)
    slot = shared_counters.slot(Counted.SESSIONS, "192.0.2.1")
    assert again.slot(Counted.SESSIONS, "192.0.2.1") == slot
    assert slot != shared_counters.slot(Counted.SOURCES, "192.0.2.1")
    shared_counters.add(0, slot, 2)
    assert again.add(1, slot, 1) == 3
