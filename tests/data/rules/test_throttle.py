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


def test_name_is_slowed_before_its_source():
    failures = throttle.FREE_PER_NAME
    assert throttle.delay(failures_of_source=failures, failures_of_name=failures) > 0
    assert throttle.delay(failures_of_source=throttle.FREE_PER_SOURCE, failures_of_name=0) > 0


def test_longest_wait():
    """It is as long as a connection can bear."""
    assert throttle.delay(failures_of_source=10**6, failures_of_name=0) == throttle.MAX_DELAY < 60


def test_keys_of_failures():
    """Failures are asked for by source, and by source and name only."""
    assert set(inspect.signature(throttle.delay).parameters) == {"failures_of_source", "failures_of_name"}
