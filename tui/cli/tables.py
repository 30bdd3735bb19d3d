"""Plain tables and JSON for the command line."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import click

from data.rules.text import safe


def echo_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, limit: int = 64) -> None:
    """Print rows under headings, in columns as wide as they need."""
    shown = [list(headings), *([safe(cell, limit) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(headings))]
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def echo_json(value: object) -> None:
    """Print a value as JSON; characters beyond ASCII are escaped, so that a terminal acts on none."""
    click.echo(json.dumps(value, indent=2))


@contextmanager
def progress(count: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show a bar to someone on a terminal; what is given is told how many more of `count` are done."""
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    with click.progressbar(length=count, label=label, file=sys.stderr) as bar:
        yield bar.update


def when(moment: datetime | None) -> str:
    """Write a moment in UTC to the second, or a dash."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"


def iso(moment: datetime | None) -> str | None:
    """Write a moment for JSON (RFC 3339)."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None
