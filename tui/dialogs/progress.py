"""Shows how far long work is, until it has ended."""

from collections.abc import Iterator

from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from tui.dialogs.dialog import Dialog, paragraph


class ProgressDialog(Dialog[None]):
    """Counts what is done of `total`. It only asks the work to stop; its opener closes it."""

    AUTO_FOCUS = "#yes"

    def __init__(self, title: str, total: int) -> None:
        super().__init__(title, "Stop (Esc)", None)
        self._bar = ProgressBar(total, show_eta=False)
        self._note: Static = paragraph(f"0 of {total}", "hint")
        self._done, self._total = 0, total
        self.goes_on = True
        """Whether the work was not asked to stop."""

    def content(self) -> Iterator[Widget]:
        """Yield the bar and the count."""
        yield self._bar
        yield self._note

    def told(self, more: int) -> None:
        """Count what was done."""
        self._done += more
        self._bar.advance(more)
        stopping = "" if self.goes_on else ". Stopping after this part."
        self._note.update(f"{self._done} of {self._total}{stopping}")

    def action_answer(self) -> None:
        """Ask the work to stop after the part that is being done."""
        self.goes_on = False
        self.told(0)

    def action_cancel(self) -> None:
        """Do the same."""
        self.action_answer()
