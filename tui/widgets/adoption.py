"""How far groups of people are: a stacked bar for each, with the numbers beside it."""

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from data.operations.policy.overview import Group, StatusCounts
from data.rules.domain_types import Status
from data.rules.safe_text import safe
from data.wording.overview import bar_parts
from tui.widgets.cells import cell
from tui.widgets.section_title import rule
from tui.widgets.status_marks import tint, with_mark

_SHOWN = (Status.ENABLED, Status.PENDING, Status.NO, Status.LOCKED)
_FILLS = ("▆", "▄", "▁", "✗")
"""What each status is drawn with: they differ in height too, and rows stay apart."""
_SHORT = {Status.PENDING: "Pending"}
_NAME, _LEAST_BAR = 24, 6
_COMPLETE = 10_000
"""The least count that is shortened."""
_UNITS = (("k", 10**3), ("M", 10**6), ("G", 10**9))
_ROUNDED_UP, _ONE_DIGIT = 999.5, 9.95
"""Numbers that are rounded to one digit more."""


def in_short(count: int) -> str:
    """Return a count below 10^12 in at most four characters."""
    if count < _COMPLETE:
        return str(count)
    unit, size = next((unit, size) for unit, size in _UNITS if count < _ROUNDED_UP * size)
    return f"{count / size:.{int(count < _ONE_DIGIT * size)}f}{unit}"


def stacked(counts: StatusCounts, width: int) -> Content:
    """Return a bar of so many cells; whatever there is has at least one."""
    if not counts.total:
        return Content.styled("·" * width, "$text-disabled")
    parts = zip(_FILLS, bar_parts(counts, width), _SHOWN, strict=True)
    return Content.assemble(*((fill * size, tint(status)) for fill, size, status in parts))


def legend(counts: StatusCounts, width: int, names: dict[Status, str] | None = None) -> Content:
    """Return the counts with their marks and words, in one line."""
    names = _SHORT | (names or {})
    parts = [
        Content.styled(with_mark(status, f"{names.get(status, status.value)} {count:,}"), tint(status))
        for status, count in zip(_SHOWN, counts.by_status, strict=True)
    ]
    for gap in ("   ", "  ", " "):
        line = Content(gap).join(parts)
        if line.cell_length <= width:
            break
    return line


class AdoptionTable(Static):
    """Groups of people, one a line below the marks of the numbers; the last line counts the others."""

    def __init__(self, title: str, id: str) -> None:  # noqa: A002 - Textual's name for it.
        super().__init__(id=id, markup=False)
        self._title = title
        self._groups: Sequence[Group] = ()
        self._others = 0
        self._rows = 0

    def show(self, groups: Sequence[Group], rows: int, count: int | None = None) -> None:
        """Show as many groups as fit into so many lines, of `count` groups in all."""
        room = rows - 1
        whole = len(groups) if count is None else count
        self._groups = groups if whole <= room else groups[: room - 1]
        self._others = whole - len(self._groups)
        self._lay_out()

    def on_resize(self) -> None:
        """Fit the lines into the new width."""
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.content_size.width
        if not width:
            return
        numbers = [[in_short(part) for part in group.counts.by_status] for group in self._groups]
        size = max((len(number) for row in numbers for number in row), default=1)
        numeric = (size + 1) * len(_SHOWN)
        longest = max((len(safe(group.name)) for group in self._groups), default=0)
        name = min(longest, _NAME, max(8, width - numeric - _LEAST_BAR - 1))
        bar = width - name - numeric - 1
        marks = [(with_mark(status, " ")[0].rjust(size + 1), tint(status)) for status in _SHOWN]
        lines = [rule(self._title, width, Content.assemble(*marks))]
        for group, row in zip(self._groups, numbers, strict=True):
            drawn = stacked(group.counts, bar) if bar >= _LEAST_BAR else Content(" " * max(0, bar))
            named = cell(group.name, name).plain
            lines.append(
                Content.assemble(
                    named + " " * (name - Content(named).cell_length + 1),
                    drawn,
                    *((number.rjust(size + 1), "") for number in row),
                )
            )
        if self._others > 0:
            lines.append(Content.styled(f"and {self._others:,} more", "$text-muted"))
        self.update(Content("\n").join(lines))
