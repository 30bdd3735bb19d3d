"""A list of facts: labels on the left, values that wrap on the right."""

from collections.abc import Sequence
from typing import ClassVar, cast

from rich.console import Group
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from data.operations.audit.trail import Entry
from data.rules.safe_text import safe
from data.wording.words import moment
from tui.widgets.hanging_lines import HangingLines

_NARROW = 70
_LABEL = 14
_ROOMY = 30
"""The height of a terminal from which titles have an empty line above them."""
Fact = tuple[str, str | Content | None]
"""A label and a value: an untrusted string, or words of this program with their colour.

The label of None is the title of what follows. A value without a label takes the whole width.
"""


class DescriptionList(Widget):
    """Shows facts."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"facts--title", "facts--rule", "facts--label"}

    facts: reactive[Sequence[Fact]] = reactive((), layout=True)

    def render(self) -> Group:
        """Draw the facts in the colours of the present theme; those below each title are a table."""
        parts: list[Rule | Table | HangingLines] = []
        for label, value in self.facts:
            if value is None:
                if parts and self.app.size.height >= _ROOMY:
                    parts.append(HangingLines(""))
                title = Text(label, self.get_component_rich_style("facts--title"))
                parts.append(Rule(title, align="left", style=self.get_component_rich_style("facts--rule")))
                continue
            lines = HangingLines(Text.assemble(*_parts(value)))
            if not label:
                parts.append(lines)
                continue
            if not parts or not isinstance(parts[-1], Table):
                parts.append(self._table())
            cast("Table", parts[-1]).add_row(label, lines)
        return Group(*parts)

    def _table(self) -> Table:
        gap = 2 if self.app.size.width >= _NARROW else 1
        table = Table.grid(padding=(0, gap), expand=True)
        table.add_column(width=_LABEL, no_wrap=True, style=self.get_component_rich_style("facts--label"))
        table.add_column(ratio=1, overflow="fold")
        return table


def activity_lines(entries: Sequence[Entry]) -> str:
    """Return rows of the audit log, one a line."""
    lines = [
        f"{moment(entry.at)}  {_one_line(entry.sentence)} ({_one_line(entry.actor)})" for entry in entries
    ]
    return "\n".join(lines) or "nothing yet"


def _parts(value: str | Content) -> list[tuple[str, Style]]:
    if isinstance(value, Content):
        return [(part.text, part.style or Style.null()) for part in value.render_segments()]
    return [("\n".join(safe(line) for line in value.split("\n")), Style.null())]


def _one_line(foreign: str) -> str:
    """Return an untrusted string as one line, so that it cannot break the list."""
    return safe(foreign, 120)
