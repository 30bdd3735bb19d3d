"""A report in sections, written as Markdown, CSV or JSON while its rows are read."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from data.rules.safe_text import safe
from data.wording.words import moment
from tui.cli.output_formats import Record, opened, write_csv
from tui.cli.text_tables import iso

_LONGEST_CELL = 1_000
_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)")
"""Characters that Markdown takes for markup; an underscore between letters is none."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: its name in CSV and JSON, its title, and its columns with their headings.

    `verbatim` rows are lines of JSON in Markdown too.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Iterable[Record]
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A title, facts about the whole by name, and the sections in order."""

    title: str
    facts: Mapping[str, object]
    sections: Sequence[Section]


def write_report(report: Report, form: str, output: Path | None) -> None:
    """Write a report as `md`, `csv` or `json`; no section is held in memory."""
    with opened(output) as file:
        match form:
            case "md":
                _write_markdown(report, file)
            case "json":
                _write_json(report, file)
            case _:
                columns = dict.fromkeys(name for section in report.sections for name in section.columns)
                write_csv(_with_sections(report), ["section", *columns], file)


def _with_sections(report: Report) -> Iterator[Record]:
    for section in report.sections:
        for row in section.rows:
            yield {"section": section.name, **{name: _plain(value) for name, value in row.items()}}


def _write_json(report: Report, file: IO[str]) -> None:
    file.write("{")
    for name, fact in report.facts.items():
        file.write(f"\n  {json.dumps(name)}: {json.dumps(_plain(fact))},")
    for number, section in enumerate(report.sections):
        file.write(f"{',' if number else ''}\n  {json.dumps(section.name)}: [")
        between = ""
        for row in section.rows:
            file.write(f"{between}\n    {json.dumps({name: _plain(value) for name, value in row.items()})}")
            between = ","
        file.write("\n  ]" if between else "]")
    file.write("\n}\n")


def _write_markdown(report: Report, file: IO[str]) -> None:
    file.write(f"# {_marked_down(report.title)}\n\n")
    for name, fact in report.facts.items():
        file.write(f"- {name.replace('_', ' ').capitalize()}: {_marked_down(fact)}\n")
    for section in report.sections:
        file.write(f"\n## {section.title}\n\n")
        if section.verbatim:
            lines = (f"{json.dumps(row)}\n" for row in section.rows)
            file.writelines(["```json\n", *lines, "```\n"])
        else:
            _write_table(section, file)


def _write_table(section: Section, file: IO[str]) -> None:
    is_empty = True
    for row in section.rows:
        if is_empty:
            dashes = ["---:" if isinstance(row[name], int | float) else "---" for name in section.columns]
            file.write(f"| {' | '.join(section.columns.values())} |\n| {' | '.join(dashes)} |\n")
            is_empty = False
        file.write(f"| {' | '.join(_marked_down(row[name]) for name in section.columns)} |\n")
    if is_empty:
        file.write("None.\n")


def _plain(value: object) -> object:
    return iso(value) if isinstance(value, datetime) else value


def _marked_down(value: object) -> str:
    """Return a value as one line of text that Markdown shows as it is."""
    match value:
        case None:
            return ""
        case datetime():
            return moment(value)
        case float():
            return f"{value:.1%}"
        case list():
            return ", ".join(map(_marked_down, value))
        case _:
            return _MARKUP.sub(r"\\\g<0>", safe(value, _LONGEST_CELL))
