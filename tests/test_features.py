"""The table of features: each is shown by a test, and every part was tried where people use it."""

import pytest
from support.features import PARTS, TESTS, shown_by

NOT_IN_THE_APP = {
    "Export": "files are written on the host",
    "Commands over SSH": "they are another face",
    "Commands for oneself": "they are another face",
    "Journeys": "they go through everything",
}
NOT_ON_THE_COMMAND_LINE = {
    "Sent codes": "commands ask for no code",
    "Recovery codes": "only their owner makes them",
    "Colours": "commands write words alone",
    "Keys": "commands have none",
    "Journeys": "they go through everything",
}


@pytest.fixture
def shown(request) -> dict[str, list[str]]:
    """The tests of each feature; a run of some tests only cannot know them."""
    if missing := set(TESTS.rglob("test_*.py")) - {item.path for item in request.session.items}:
        pytest.skip(f"{len(missing)} files of tests take no part in this run")
    return shown_by(request.session.items)


def test_every_feature_has_a_test(shown):
    assert {feature for features in PARTS.values() for feature in features} == set(shown)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_in_app_and_command_line(shown, part):
    tests = [test for feature in PARTS[part] for test in shown[feature]]
    on_the_command_line = [test for test in tests if test.startswith("tests/tui/cli/")]
    in_the_app = [test for test in tests if test.startswith("tests/tui/") and test not in on_the_command_line]
    assert bool(in_the_app) == (part not in NOT_IN_THE_APP)
    assert bool(on_the_command_line) == (part not in NOT_ON_THE_COMMAND_LINE)


def test_names_are_unique():
    named = [feature for features in PARTS.values() for feature in features]
    assert len(named) == len(set(named))
