"""Why a user can or cannot sign in."""

from collections.abc import Iterator
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from data.operations.users import signin_explanation
from data.operations.users.signin_explanation import Explanation
from data.rules.safe_text import safe
from data.rules.signin_explanation import Weight
from tui.keys import Act
from tui.screens.base_screen import MainScreen
from tui.widgets.section_title import SectionTitle

_MARKS = {Weight.STOPS: "✗", Weight.NOTE: "!", Weight.FINE: "✓"}
_SENTENCE_LIMIT = 400


class ExplanationScreen(MainScreen):
    """Everything that decides a user's next sign-in, as sentences; the marks do not depend on colour."""

    TAB = "users"
    TOPIC = "troubleshooting"
    AUTO_FOCUS = "#detail"
    BINDINGS: ClassVar[list[BindingType]] = [Act.BACK.binding()]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._about = name

    def body(self) -> Iterator[Widget]:
        """Yield the title and the widget for the sentences."""
        scroll = VerticalScroll(id="detail")
        title = f"Can {safe(self._about)} sign in?"
        scroll.compose_add_child(SectionTitle(title))
        scroll.compose_add_child(Static("", id="findings", markup=False))
        yield scroll

    async def read(self) -> None:
        """Read the answer."""
        answer = await self.app.read(signin_explanation.explain_user, self._about)
        if answer is not None:
            self.query_one("#findings", Static).update(_table(answer))

    def action_back(self) -> None:
        """Go back to the user."""
        self.dismiss(None)


def _table(answer: Explanation) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(ratio=1, overflow="fold")
    for reason in answer.reasons:
        style = "bold" if reason.weight is Weight.STOPS else ""
        sentence = safe(reason.sentence, _SENTENCE_LIMIT)
        table.add_row(Text(_MARKS[reason.weight], "bold"), Text(sentence, style))
    return table
