"""The audit log's sentences."""

import string

import pytest

from data.rules import audit_events
from data.rules.audit_events import Event, sentence


@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_sentence(event):
    """It can be said without its details."""
    assert sentence(event.value, {}) != event.value
    assert "{" not in sentence(event.value, {})


def test_braces_in_details():
    """They are shown as they are."""
    assert sentence("signin.code_wrong", {"left": 4}) == "Wrong code, 4 attempts left"
    assert sentence("user.edited", {"fields": "{left}"}) == "Edited: {left}"


@pytest.mark.parametrize(
    ("event", "detail", "one", "more"),
    [
        (Event.CODE_WRONG, "left", "Wrong code, 1 attempt left", "Wrong code, 2 attempts left"),
        (Event.PEOPLE_IMPORTED, "count", "1 user imported", "2 users imported"),
        (
            Event.TAKEN_OVER,
            "codes",
            "Authenticator app imported from a file, with 1 scratch code",
            "Authenticator app imported from a file, with 2 scratch codes",
        ),
    ],
)
def test_one_is_said_in_the_singular(event, detail, one, more):
    assert sentence(event.value, {detail: 1}) == one
    assert sentence(event.value, {detail: 2}) == more


def test_event_of_a_newer_version():
    assert sentence("future.event", {"x": 1}) == "future.event"


def test_no_template_reaches_into_an_object():
    fields = [
        name
        for template in audit_events._SENTENCES.values()
        for _, name, _, _ in string.Formatter().parse(template)
        if name is not None
    ]
    assert all(name.isidentifier() for name in fields)
