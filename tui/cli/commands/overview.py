"""`twofold overview`: the account at a glance."""

from collections.abc import Iterator, Sequence

import click
import wcwidth

from data.operations.maintenance import doctor_facts
from data.operations.policy.overview import Attention, Day, Group, Overview, StatusCounts, show_overview
from data.rules.domain_types import Role
from data.rules.safe_text import safe
from data.wording.overview import attention, bar_parts
from data.wording.words import counted
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members, in_account
from tui.cli.confirmation import act
from tui.cli.open_installation import Installation, confirmed
from tui.cli.streams import echo, streams
from tui.cli.text_tables import echo_json, encodable, iso

_FILLS, _ASCII_FILLS = "█▒░✗", "#+.x"
"""What enabled, pending, no and locked are drawn with."""
_HEIGHTS, _ASCII_HEIGHTS = "▁▂▃▄▅▆▇█", "_.-=+*%#"
_NARROWEST, _USUAL, _WIDEST = 40, 80, 120
_WIDE = 72
"""Columns from which on the numbers have words above them."""
_LONGEST_NAME, _NUMBERS = 28, 28
_STATUSES = ("enabled", "pending", "no", "locked")
"""The statuses as JSON names them."""
_STATUSES_IN_WORDS = ("enabled", "pending", "without 2FA", "locked")
_ROLES = {role.label: role.value for role in Role}


@for_members()
@in_account
@click.command(
    short_help="Show how many people have two-factor authentication.",
    epilog=examples("twofold overview", "twofold overview --json", "twofold overview --account Surgery"),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def overview(here: Caller, as_json: bool) -> None:
    """Show how many people have two-factor authentication.

    Active people by status, also of the largest practices and of each role; sign-ins and refused second
    factors of the last 30 days (UTC); and what needs attention, most urgent first. With the mode off,
    "enabled" are those who have set up a second factor.
    """
    if isinstance(here, Installation):  # A server checks by itself, all the time.
        here.store.services.check_up.findings = here.store.run_now(doctor_facts.check_quickly)
    seen = confirmed(here.read(show_overview))
    if as_json:
        echo_json(_as_json(seen))
        return
    width = min(max(streams().columns or _USUAL, _NARROWEST), _WIDEST)
    for line in _lines(seen, width):
        echo(line)


def _lines(seen: Overview, width: int) -> Iterator[str]:
    counts = seen.counts
    share = f"{counts.percent_enabled}% of people ({counts.enabled:,} of {counts.total:,})"
    yield f"Two-factor authentication: {share}"
    if seen.deadline and seen.days_left:
        yield f"Required from {seen.deadline:%Y-%m-%d}: {counted(seen.days_left, 'day')} left"
    if seen.certificates:
        yield f"Certificates that hosts accept: {seen.certificates:,}"
    is_plain = streams().is_plain
    yield ""
    yield from _groups_in_words(seen) if is_plain else _groups(seen, width)
    yield ""
    yield f"LAST {len(seen.days)} DAYS"
    for name, column in (
        ("Sign-ins", [day.successful for day in seen.days]),
        ("Refused second factors", [day.refused for day in seen.days]),
    ):
        yield _days_in_words(name, column, seen.days) if is_plain else _sparkline(name, column)
    yield ""
    yield "NEEDS ATTENTION" if seen.attention else "Nothing needs attention."
    for found in seen.attention:
        yield f"- {_shown(attention(found), 1_000)}"
        if found.finding and found.finding.advice:
            yield f"  {_shown(found.finding.advice, 1_000)}"


def _parts(seen: Overview) -> list[tuple[str, Sequence[Group]]]:
    return [
        ("EVERYONE", (Group("All", seen.counts),)),
        ("PRACTICES", seen.practices),
        ("ROLES", seen.roles),
    ]


def _groups_in_words(seen: Overview) -> Iterator[str]:
    """Return a line of words for each group: a screen reader reads a bar aloud, block by block."""
    others = seen.practice_count - len(seen.practices)
    for title, part in _parts(seen):
        if part:
            yield title
        for group in part:
            numbers = zip(group.counts.by_status, _STATUSES_IN_WORDS, strict=True)
            words = ", ".join(f"{count:,} {word}" for count, word in numbers)
            yield f"{_shown(group.name, _LONGEST_NAME)}: {words}"
        if title == "PRACTICES" and others > 0:
            yield f"and {others:,} more"


def _days_in_words(name: str, counts: Sequence[int], days: Sequence[Day]) -> str:
    most, day = max(counts), days[counts.index(max(counts))]
    return f"{name}: {sum(counts):,}" + (f", most on {day.date.isoformat()}: {most:,}" if most else "")


def _groups(seen: Overview, width: int) -> Iterator[str]:
    """Return the table of all groups: a bar for each, as wide as there is room, and the numbers."""
    fills = _drawable(_FILLS, _ASCII_FILLS)
    others = seen.practice_count - len(seen.practices)
    parts = _parts(seen)
    groups = [group for _, part in parts for group in part]
    names = [_shown(group.name, min(_LONGEST_NAME, width - _NUMBERS)) for group in groups]
    first = max(map(wcwidth.width, (*names, "PRACTICES")))
    words = [f"{fill} {word}" for fill, word in zip(fills, _STATUSES, strict=True)]
    headings = words if width >= _WIDE else list(fills)
    if width < _WIDE:
        yield "  ".join(words)
    numbers = [[f"{count:,}" for count in group.counts.by_status] for group in groups]
    columns = [max(map(len, column)) for column in zip(headings, *numbers, strict=True)]
    bar = max(0, width - first - 2 - sum(columns) - 2 * len(columns))
    rows = iter(zip(groups, names, numbers, strict=True))
    for title, part in parts:
        if not part:
            continue
        words = headings if title == "EVERYONE" else [""] * len(headings)
        yield _row(title, "", first, bar, words, columns)
        for group, name, row in (next(rows) for _ in part):
            yield _row(name, _bar(group.counts, bar, fills), first, bar, row, columns)
        if title == "PRACTICES" and others > 0:
            yield f"and {others:,} more"


def _row(name: str, bar: str, first: int, width: int, cells: Sequence[str], columns: Sequence[int]) -> str:
    numbers = "".join(f"  {cell:>{size}}" for cell, size in zip(cells, columns, strict=True))
    return f"{wcwidth.ljust(name, first)}  {bar:<{width}}{numbers}".rstrip()


def _bar(counts: StatusCounts, width: int, fills: str) -> str:
    """Draw the shares of a group, unless there is too little room for each."""
    if width < len(fills):
        return ""
    return "".join(fill * size for fill, size in zip(fills, bar_parts(counts, width), strict=True))


def _sparkline(name: str, counts: Sequence[int]) -> str:
    """Draw a column for each day, the highest for the most on one day; days of nothing stay empty."""
    heights = _drawable(_HEIGHTS, _ASCII_HEIGHTS)
    most = max(counts)
    drawn = "".join(heights[(count * len(heights) - 1) // most] if count else " " for count in counts)
    return f"{name:<22}  |{drawn}|  {sum(counts):,}"


def _drawable(symbols: str, otherwise: str) -> str:
    """Return symbols, or other ones if standard output would write them as escapes."""
    return symbols if encodable(symbols) == symbols else otherwise


def _shown(text: str, limit: int) -> str:
    return encodable(safe(text, limit))


def _as_json(seen: Overview) -> dict[str, object]:
    return {
        "mode": seen.mode.value,
        "deadline": iso(seen.deadline),
        "days_left": seen.days_left,
        "certificates": seen.certificates,
        **_counts_json(seen.counts),
        "practices": [{"name": group.name, **_counts_json(group.counts)} for group in seen.practices],
        "practice_count": seen.practice_count,
        "roles": [{"name": _ROLES[group.name], **_counts_json(group.counts)} for group in seen.roles],
        "days": [_day_json(day) for day in seen.days],
        "attention": [_attention_json(found) for found in seen.attention],
    }


def _counts_json(counts: StatusCounts) -> dict[str, int]:
    return dict(zip(_STATUSES, counts.by_status, strict=True))


def _day_json(day: Day) -> dict[str, object]:
    return {"date": day.date.isoformat(), "successful": day.successful, "refused": day.refused}


def _attention_json(found: Attention) -> dict[str, object]:
    return {
        "concern": found.concern.value,
        "count": found.count,
        "more": found.more,
        "sentence": attention(found),
        "advice": found.finding.advice if found.finding else "",
        "role": found.role.value if found.role else None,
        "pending_before": iso(found.pending_before),
        "event": found.event.value if found.event else None,
    }
