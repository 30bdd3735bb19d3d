"""Untrusted strings in the cells of a terminal."""

import wcwidth
from rich.text import Text

from data.rules.safe_text import safe


def cell(foreign: object, width: int) -> Text:
    """Return an untrusted string as a table cell: visible characters only, clipped to its column."""
    shown = safe(foreign)
    if wcwidth.width(shown) > width:
        # A mark of some scripts joins the dots and makes them wider.
        shown = clipped(clipped(shown, max(0, width - 1)).rstrip() + "…", width)
    return Text(shown, no_wrap=True, end="")


def clipped(text: str, width: int) -> str:
    """Cut a text to at most `width` cells; a wide character is never cut in half."""
    while wcwidth.width(text) > width:
        text = text[:-1]
    return text
