"""Plain tables and JSON for the command line."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime

import click
import wcwidth
from click._termui_impl import ProgressBar

from data.rules.safe_text import safe
from tui.cli.streams import echo, streams


def echo_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, limit: int = 64) -> None:
    """Print rows under headings, in columns as wide as needed in terminal cells."""
    shown = [list(headings), *([encodable(safe(cell, limit)) for cell in row] for row in rows)]
    widths = [max(wcwidth.width(row[column]) for row in shown) for column in range(len(headings))]
    for row in shown:
        cells = (wcwidth.ljust(cell, width) for cell, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip())


def encodable(text: str) -> str:
    """Escape what standard output will write as an escape, because an escape is wider."""
    encoding = getattr(streams().stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def echo_json(value: object) -> None:
    """Print a value as JSON, with characters beyond ASCII escaped so that no terminal acts on them."""
    echo(json.dumps(value, indent=2))


@contextmanager
def progress(count: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; call what is yielded with how many more of `count` are done."""
    out = streams().stderr
    if not out.isatty():
        yield lambda _more: None
        return
    with ExitStack() as shown:
        bars: list[ProgressBar[int]] = []

        def update(more: int) -> None:
            # A code may be asked for before the first part is done.
            if not bars:
                bars.append(shown.enter_context(click.progressbar(length=count, label=label, file=out)))
            bars[0].update(more)

        yield update


def when(moment: datetime | None) -> str:
    """Format a time in UTC to the second, or return a dash."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"


def iso(moment: datetime | None) -> str | None:
    """Format a time for JSON (RFC 3339)."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
