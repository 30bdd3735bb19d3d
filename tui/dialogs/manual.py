"""Shows the pages of the manual."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Markdown

from data.rules.safe_text import safe
from sshserver.compat.textual_markdown import ContainedMarkdown
from sshserver.compat.textual_turns import DrawnInTurn
from tui import manual
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.dialog import Dialog
from tui.keys import Act


class ManualDialog(DrawnInTurn, Dialog[None]):
    """Shows a page, from which links and a list lead to the others."""

    AUTO_FOCUS = "#manual"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.SEARCH.binding("answer", "Topics"),
        Act.OPEN.binding("cancel", "Close"),
    ]

    def __init__(self, topic: str) -> None:
        super().__init__("", f"Topics ({Act.SEARCH.shown})", "Close")
        self._topic = topic

    def compose(self) -> ComposeResult:
        """Build the box: the page scrolls, and the buttons stay."""
        with Vertical(id="box"):
            yield VerticalScroll(id="manual")
            yield from self.buttons()

    def on_mount(self) -> None:
        """Show the first page."""
        self._open(self._topic)

    def action_answer(self) -> None:
        """Offer the list of the pages."""
        choices = [(manual.title(topic), topic) for topic in manual.topics()]
        self.app.push_screen(ChooseDialog("Manual", choices, self._topic), self._open_chosen)

    def _open_chosen(self, chosen: tuple[str] | None) -> None:
        if chosen is not None:
            self._open(chosen[0])

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """Follow a link to a page, or within this one; show an address, which nothing here opens."""
        event.stop()
        name, _, anchor = event.href.partition("#")
        topic = manual.topic_of(name) if name else self._topic
        if topic is not None:
            self._open(topic, anchor)
        elif name.startswith(("https://", "http://")):
            self.notify(safe(event.href), title="Open it in a browser", markup=False)

    def _open(self, topic: str, anchor: str = "") -> None:
        """Open a page at a heading; what a page before it still lacks is left out."""
        if topic == self._topic and self.query(ContainedMarkdown):
            self._show_heading(anchor)
        else:
            self._topic = topic
            self._show(anchor)

    @work(exclusive=True)
    async def _show(self, anchor: str) -> None:
        """Show the page section by section: other sessions have their turns in between."""
        page = self.query_one("#manual")
        await page.remove_children()
        page.scroll_home(animate=False)
        for text in manual.sections(self._topic):
            await page.mount(ContainedMarkdown(text))
        if anchor:
            self.call_after_refresh(self._show_heading, anchor)

    def _show_heading(self, anchor: str) -> None:
        any(section.goto_anchor(anchor) for section in self.query(ContainedMarkdown))
