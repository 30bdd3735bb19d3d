"""How a two-factor status looks: the same mark and colour on every screen, always beside its word."""

from typing import Final

from textual.content import Content

from data.rules.domain_types import Status

_LOOKS: Final = {
    Status.ENABLED: ("●", "$success"),
    Status.PENDING: ("◐", "$warning"),
    Status.NO: ("○", "$text-muted"),
    Status.LOCKED: ("✗", "$error"),
    Status.DEACTIVATED: ("-", "$text-disabled"),
    Status.NOT_AVAILABLE: ("-", "$text-disabled"),
}


def with_mark(status: Status, words: str = "") -> str:
    """Return the mark of a status before other words, or before its own."""
    return f"{_LOOKS[status][0]} {words or status.value}"


def tint(status: Status) -> str:
    """Return the colour of a status as a variable of the theme, which may also stand in a style."""
    return _LOOKS[status][1]


def marked(status: Status, words: str = "") -> Content:
    """Return `with_mark` in the status's colour, for texts that Textual draws."""
    return Content.styled(with_mark(status, words), tint(status))
