"""Records as CSV or JSON Lines, written as they are read."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from data.rules.safe_text import neutralised, safe
from tui.cli.open_installation import refuse
from tui.cli.path_arguments import PathType
from tui.cli.streams import are_remote, streams

F = TypeVar("F", bound=Callable[..., Any])
Record = Mapping[str, object]
_LONGEST_ESCAPE = 10
"""Length of the longest escape, in characters."""

_format = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="CSV with a header row, or one JSON object per line.",
)
_as_json = click.option("--json", "form", flag_value="jsonl", help="JSON Lines, as with --format jsonl.")
output_option = click.option(
    "--output",
    type=PathType(dir_okay=False),
    help="Write to this new file instead of standard output.",
)


def export_options(command: F) -> F:
    """Add the options that all exports share."""
    return _format(_as_json(output_option(command)))


def write_records(records: Iterator[Record], columns: Sequence[str], form: str, output: Path | None) -> None:
    """Write each record as soon as it is read; keep none in memory.

    The first one is read before anything is written: whoever may read none is told so, and nothing else.
    """
    records = chain(list(islice(records, 1)), records)
    with opened(output) as file:
        if form == "jsonl":
            for record in records:
                file.write(json.dumps({name: record[name] for name in columns}) + "\n")
            return
        write_csv(records, columns, file)


def write_csv(records: Iterable[Record], columns: Sequence[str], file: IO[str]) -> None:
    """Write records as CSV under the names of the columns; what a record does not hold is empty."""
    # Files and other programs here get all characters as they are; a terminal would act on some.
    shown = _visible if file.isatty() or are_remote() else str
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([shown(_cell(record.get(name))) for name in columns])


def _visible(cell: str) -> str:
    return safe(cell, len(cell) * _LONGEST_ESCAPE)


def _cell(value: object) -> str:
    """Return a value as text that no spreadsheet runs."""
    match value:
        case None:
            return ""
        case True | False:
            return "yes" if value else "no"
        case list():
            return neutralised(" ".join(str(item) for item in value))
        case dict():
            return json.dumps(value)
        case _:
            return neutralised(str(value))


@contextmanager
def opened(output: Path | None) -> Iterator[IO[str]]:
    """Open a new file, or standard output if none is named; anything but a terminal gets UTF-8."""
    if output is None:
        out = streams().stdout
        if isinstance(out, io.TextIOWrapper) and not out.isatty():
            out.reconfigure(encoding="utf-8")
        yield out
        return
    try:
        file = output.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        refuse(f"{output} already exists. Choose another name, or remove it first.")
    except OSError as error:
        refuse(f"{output} cannot be written: {error.strerror}.")
    with file:
        yield file
