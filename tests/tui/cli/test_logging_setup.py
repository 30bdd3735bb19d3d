"""The two formats of the log."""

import json
import logging
import sys

import pytest

from tui.cli import logging_setup


def record(message: str, *arguments, fields=None, error=None) -> logging.LogRecord:
    information = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("twofold.ssh", logging.WARNING, __file__, 1, message, arguments, information)
    made.created = 1_774_000_000.25
    if fields is not None:
        made.fields = fields
    return made


def test_an_event_in_json_has_its_fields_in_order():
    line = logging_setup.JsonLines({"worker": 2}).format(
        record("signin.admitted", fields={"user": "anna", "ms": 4.5})
    )
    assert line == (
        '{"at": "2026-03-20T09:46:40.250Z", "level": "warning", "event": "signin.admitted",'
        ' "worker": 2, "user": "anna", "ms": 4.5}'
    )


def test_event_quotes_odd_words():
    fields = {"reason": 'a "b" = c', "address": "::1", "left": 6}
    line = logging_setup.PlainLines({}).format(record("signin.turned_away", fields=fields))
    assert line == (
        '2026-03-20T09:46:40.250Z warning signin.turned_away reason="a \\"b\\" = c" address=::1 left=6'
    )


@pytest.mark.parametrize(
    "form", [logging_setup.PlainLines({}), logging_setup.JsonLines({})], ids=["plain", "json"]
)
def test_one_line_fit_to_be_shown(form):
    nasty = "a\nb\x1b[2J\u202e" + "x" * 5_000
    for line in (form.format(record("%s", nasty)), form.format(record("event", fields={"of": nasty}))):
        assert line.isprintable()
        assert len(line) < 1_500


@pytest.mark.parametrize(
    "form", [logging_setup.PlainLines({}), logging_setup.JsonLines({})], ids=["plain", "json"]
)
def test_exception_type_and_place_only(form):
    try:
        raise ValueError("the password was swordfish")  # noqa: TRY301
    except ValueError as error:
        line = form.format(record("failed", error=error))
    assert "swordfish" not in line
    assert "ValueError at" in line


def test_message_of_a_library():
    found = json.loads(logging_setup.JsonLines({}).format(record("%d apples", 3)))
    assert (found["event"], found["logger"], found["message"]) == ("message", "twofold.ssh", "3 apples")


@pytest.fixture
def configured():
    root, ours = logging.getLogger(), logging.getLogger("twofold")
    before = (list(root.handlers), root.level, ours.level, logging.raiseExceptions)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.raiseExceptions = before[3]


def test_standard_error_of_the_moment(configured, capsys):
    """The log goes to what standard error is then, and once."""
    logging_setup.configure("info")
    logging_setup.configure("info", "json", worker=3)
    logging.getLogger("twofold.ssh").info("told", extra={"fields": {}})
    logging.getLogger("somebody.else").info("not told")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["worker"] == 3
    assert sys.stderr is not None
