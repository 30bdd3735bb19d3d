"""How failures of the first factor slow a source down."""

import inspect

from hypothesis import given
from hypothesis import strategies as st

from data.rules import throttle

counts = st.integers(min_value=0, max_value=100_000)


@given(counts, counts, counts, counts)
def test_more_failures_never_wait_less(source, name, more_source, more_name):
    few = throttle.delay(failures_of_source=source, failures_of_name=name)
    many = throttle.delay(failures_of_source=source + more_source, failures_of_name=name + more_name)
    assert 0 <= few <= many <= throttle.MAX_DELAY


def test_the_first_failures_wait_for_nothing():
    below = throttle.FREE_PER_NAME - 1
    assert throttle.delay(failures_of_source=below, failures_of_name=below) == 0
    assert throttle.delay(failures_of_source=throttle.FREE_PER_SOURCE - 1, failures_of_name=0) == 0


def test_one_name_is_slowed_down_sooner_than_a_whole_source():
    failures = throttle.FREE_PER_NAME
    assert throttle.delay(failures_of_source=failures, failures_of_name=failures) > 0
    assert throttle.delay(failures_of_source=throttle.FREE_PER_SOURCE, failures_of_name=0) > 0


def test_many_failures_wait_as_long_as_a_connection_can_bear_and_no_longer():
    assert throttle.delay(failures_of_source=10**6, failures_of_name=0) == throttle.MAX_DELAY < 60


def test_failures_are_asked_for_by_source_and_by_source_and_name_only():
    assert set(inspect.signature(throttle.delay).parameters) == {"failures_of_source", "failures_of_name"}
