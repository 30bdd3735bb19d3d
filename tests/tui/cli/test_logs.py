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


def test_an_event_in_words_quotes_what_is_no_plain_word():
    fields = {"reason": 'a "b" = c', "address": "::1", "left": 6}
    line = logging_setup.PlainLines({}).format(record("signin.turned_away", fields=fields))
    assert line == (
        '2026-03-20T09:46:40.250Z warning signin.turned_away reason="a \\"b\\" = c" address=::1 left=6'
    )


@pytest.mark.parametrize(
    "form", [logging_setup.PlainLines({}), logging_setup.JsonLines({})], ids=["plain", "json"]
)
def test_whatever_is_logged_stays_on_one_line_and_is_fit_to_be_shown(form):
    nasty = "a\nb\x1b[2J\u202e" + "x" * 5_000
    for line in (form.format(record("%s", nasty)), form.format(record("event", fields={"of": nasty}))):
        assert line.isprintable()
        assert len(line) < 1_500


@pytest.mark.parametrize(
    "form", [logging_setup.PlainLines({}), logging_setup.JsonLines({})], ids=["plain", "json"]
)
def test_of_an_exception_there_is_the_type_and_the_place_alone(form):
    try:
        raise ValueError("the password was swordfish")  # noqa: TRY301
    except ValueError as error:
        line = form.format(record("failed", error=error))
    assert "swordfish" not in line
    assert "ValueError at" in line


def test_what_a_library_logs_is_a_message_of_its_logger():
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


def test_the_log_goes_to_what_standard_error_is_then_and_once(configured, capsys):
    logging_setup.configure("info")
    logging_setup.configure("info", "json", worker=3)
    logging.getLogger("twofold.ssh").info("told", extra={"fields": {}})
    logging.getLogger("somebody.else").info("not told")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["worker"] == 3
    assert sys.stderr is not None
