"""Plain tables and JSON for the command line."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import islice
from textwrap import indent

import click
import wcwidth
from click._termui_impl import ProgressBar

from data.rules.safe_text import safe
from tui.cli.streams import echo, streams

_NARROW = 80
"""Columns below which a terminal gets a block for each row of a table that does not fit."""
_EMPTY = ("", "-")
_PART = 500
"""Rows of a table that are held at a time."""


def echo_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, limit: int = 64) -> None:
    """Print rows under headings, in columns as wide as needed in terminal cells.

    On a narrow terminal that they do not fit on, each row becomes lines with its headings. Of very many
    rows, only a part is held at a time; each part has columns as wide as it needs.
    """
    shown = ([encodable(safe(cell, limit)) for cell in row] for row in rows)
    part, is_first = list(islice(shown, _PART)), True
    while part or is_first:
        _echo_part(headings, part, is_first=is_first)
        part, is_first = list(islice(shown, _PART)), False


def _echo_part(headings: Sequence[str], rows: list[list[str]], *, is_first: bool) -> None:
    shown = [list(headings), *rows]
    widths = [max(wcwidth.width(row[column]) for row in shown) for column in range(len(headings))]
    columns = streams().columns if streams().stdout.isatty() else None
    if columns is not None and columns < min(_NARROW, sum(widths) + 2 * (len(widths) - 1)):
        _echo_blocks(headings, rows, columns)
        return
    for row in shown if is_first else rows:
        cells = (wcwidth.ljust(cell, width) for cell, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip())


def _echo_blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> None:
    """Print rows as blocks, without what is empty in them; that there are none is said."""
    if not rows:
        echo("None.")
    for number, row in enumerate(rows):
        if number:
            echo()
        for heading, cell in zip(headings, row, strict=True):
            if cell not in _EMPTY:
                echo("\n".join(wcwidth.wrap(f"{_label(heading)}: {cell}", columns, subsequent_indent="  ")))


def _label(heading: str) -> str:
    return heading if heading[:1].isdigit() else heading.capitalize()


def encodable(text: str) -> str:
    """Escape what standard output will write as an escape, because an escape is wider."""
    encoding = getattr(streams().stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def echo_json(value: object) -> None:
    """Print a value as JSON, with characters beyond ASCII escaped so that no terminal acts on them."""
    click.echo(json.dumps(value, indent=2), file=streams().stdout)


def echo_json_list(values: Iterable[object]) -> None:
    """Print values as one JSON array, each as it is read, as `echo_json` prints a list."""
    out, between = streams().stdout, "["
    for value in values:
        out.write(f"{between}\n{indent(json.dumps(value, indent=2), '  ')}")
        between = ","
    out.write("[]\n" if between == "[" else "\n]\n")
    out.flush()


@contextmanager
def progress(count: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal; call what is yielded with how many more of `count` are done.

    It is a bar, or in the plain mode a line for each quarter.
    """
    out = streams().stderr
    if not out.isatty():
        yield lambda _more: None
        return
    if streams().is_plain:
        yield _Quarters(count, label.strip()).add
        return
    with ExitStack() as shown:
        bars: list[ProgressBar[int]] = []

        def update(more: int) -> None:
            # A code may be asked for before the first part is done.
            if not bars:
                bars.append(shown.enter_context(click.progressbar(length=count, label=label, file=out)))
            bars[0].update(more)

        yield update


class _Quarters:
    def __init__(self, count: int, label: str) -> None:
        self._count, self._label = count, label
        self._done = 0

    def add(self, more: int) -> None:
        before, self._done = self._done, self._done + more
        if 4 * before // max(self._count, 1) < 4 * self._done // max(self._count, 1):
            echo(f"{self._label}: {self._done:,} of {self._count:,}", err=True)


def when(moment: datetime | None) -> str:
    """Format a time in UTC to the second, or return a dash."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"


def iso(moment: datetime | None) -> str | None:
    """Format a time for JSON (RFC 3339)."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
