"""Foreign strings in the cells of a terminal."""

import wcwidth
from rich.text import Text

from data.rules.safe_text import safe


def cell(foreign: object, width: int) -> Text:
    """Make a table cell of a foreign string: visible characters only, clipped to its column."""
    shown = safe(foreign)
    if wcwidth.width(shown) > width:
        shown = clipped(shown, max(0, width - 1)).rstrip() + "…"
    return Text(shown, no_wrap=True, end="")


def clipped(text: str, width: int) -> str:
    """Cut a text so that it takes no more cells than `width`; what takes several is never cut in two."""
    while wcwidth.width(text) > width:
        text = text[:-1]
    return text
