"""The line above a part of a screen: its title, and a rule to the margin."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


def rule(title: str, width: int, right: Content | str = "") -> Content:
    """Return the line above a part of a screen: its title, a line, and what stands at its end."""
    right = Content(right) if isinstance(right, str) else right
    room = width - len(title) - right.cell_length - (2 if right else 1)
    parts: list[Content | tuple[str, str]] = [(title, "bold $primary"), (f" {'─' * room}", "$rule")]
    return Content.assemble(*parts, *([Content(" "), right] if right else []))


class SectionTitle(Widget):
    """A title whose rule is as long as there is room."""

    words: reactive[str] = reactive("")

    def __init__(self, words: str, *, id: str | None = None, classes: str = "title") -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.set_reactive(SectionTitle.words, words)

    def render(self) -> Content:
        """Draw the title and its rule."""
        return rule(self.words, self.content_size.width)
