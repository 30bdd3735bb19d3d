"""Tables on narrow terminals: a block for each row, and nothing else changes."""

import io

import pytest

from sshserver.command_streams import Streams
from tui.cli.streams import echo, using
from tui.cli.text_tables import echo_table, progress

HEADINGS = ("NAME", "2FA", "ROLES", "E-MAIL", "FULL NAME")
ROWS = [
    ("anna", "Enabled", "-", "anna@clinic.example", "Anna of the clinic by the river, Dr."),
    ("ben", "No", "support", "ben@clinic.example", ""),
]
BLOCKS = """\
Name: anna
2FA: Enabled
E-mail: anna@clinic.example
Full name: Anna of the clinic by the
  river, Dr.

Name: ben
2FA: No
Roles: support
E-mail: ben@clinic.example
"""


class Output(io.StringIO):
    def __init__(self, *, terminal: bool = True) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(columns: int | None, *, terminal: bool = True) -> str:
    out = Output(terminal=terminal)
    size = None if columns is None else lambda: (columns, 24)
    with using(Streams(io.BytesIO(), out, out, size=size)):
        echo_table(HEADINGS, ROWS)
    return out.getvalue()


def test_a_table_that_does_not_fit_becomes_blocks():
    assert shown(40) == BLOCKS
    assert max(map(len, BLOCKS.splitlines())) <= 40


def test_a_narrow_terminal_says_that_there_are_no_rows():
    out = Output()
    with using(Streams(io.BytesIO(), out, out, size=lambda: (20, 24))):
        echo_table(HEADINGS, [])
    assert out.getvalue() == "None.\n"


@pytest.mark.parametrize(("columns", "terminal"), [(80, True), (200, True), (None, False), (40, False)])
def test_elsewhere_a_table_has_columns(columns, terminal):
    lines = shown(columns, terminal=terminal).splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "anna", "ben"]


def test_progress_in_the_plain_mode_is_a_line_for_each_quarter():
    out = Output()
    with using(Streams(io.BytesIO(), out, out, is_plain=True)), progress(1000, "Importing ") as told:
        for _ in range(100):
            told(10)
    quarters = ("250", "500", "750", "1,000")
    assert out.getvalue() == "".join(f"Importing: {done} of 1,000\n" for done in quarters)


def test_a_long_line_in_the_plain_mode_keeps_its_indent():
    out = Output()
    with using(Streams(io.BytesIO(), out, out, size=lambda: (24, 24), is_plain=True)):
        echo("Examples:\n    user list --status enabled --json")
    assert out.getvalue() == "Examples:\n    user list --status\n    enabled --json\n"
