"""Lines whose parts can be clicked on."""

from rich.style import Style
from textual.content import Content
from textual.style import Style as ContentStyle
from textual.widget import Widget


class ClickableLines(Widget):
    """Lines that look as they are written, whether or not a part of them can be clicked on."""

    @property
    def link_style(self) -> Style:
        """Nothing is added to what can be clicked on."""
        return Style.null()


def clicking(label: Content, action: str) -> Content:
    """Have a click on the label run an action."""
    return label.stylize(ContentStyle.from_meta({"@click": action}))
