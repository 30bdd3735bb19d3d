"""What was measured: rows, printed as a table and written as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; `note` says what it stands for, and `goal` what it should not pass."""

    section: str
    what: str
    subject: str
    value: float
    unit: str
    note: str = ""
    goal: str = ""
    spread: tuple[float, float] | None = None
    """The least and the most of several turns, of which the value is the middle one."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part that could not be measured here, and why."""

    section: str
    why: str


Result = Row | Skipped


def median(values: Sequence[float]) -> float:
    """Return the middle one; nan where there is none."""
    return statistics.median(values) if values else float("nan")


def middle(
    section: str,
    what: str,
    subject: str,
    turns: Sequence[float],
    unit: str,
    *,
    note: str = "",
    goal: str = "",
) -> Row:
    """Return the row of a figure that was measured in several turns."""
    spread = (min(turns), max(turns)) if turns else None
    return Row(section, what, subject, median(turns), unit, note, goal, spread)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def show(results: Sequence[Result]) -> None:
    """Print a table, one section after the other."""
    for section in dict.fromkeys(result.section for result in results):
        print(f"\n{section}")
        for result in results:
            if result.section == section:
                print(f"  {_line(result)}", flush=True)


def _line(result: Result) -> str:
    if isinstance(result, Skipped):
        return f"skipped: {result.why}"
    goal = f"  goal {result.goal}" if result.goal else ""
    note = f"  {result.note}" if result.note else ""
    spread = f"  {result.spread[0]:.2f} to {result.spread[1]:.2f}" if result.spread else ""
    return f"{result.what:44} {result.subject:30} {result.value:10.2f} {result.unit:6}{spread}{goal}{note}"


def write(path: Path, results: Sequence[Result], *, quick: bool) -> None:
    """Write all rows with when and where they were measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    where = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        **where,
        "rows": [asdict(result) for result in results if isinstance(result, Row)],
        "skipped": [asdict(result) for result in results if isinstance(result, Skipped)],
    }
    path.write_text(json.dumps(record, indent=2) + "\n")
