"""Foreign strings, made fit to be shown in a terminal, a log or a message."""

import re
import unicodedata

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format, surrogate, private-use and unassigned characters, and line separators."""
SHOWN_LIMIT = 256
_UNDECODED = re.compile("[\ufffd\ud800-\udfff]")
"""What stands for a byte that is not UTF-8: U+FFFD, or a lone surrogate (PEP 383)."""


def safe(foreign: object, limit: int = SHOWN_LIMIT) -> str:
    r"""Return a string of at most `limit` characters without anything a terminal acts on.

    Control, format, surrogate and private-use characters become visible escapes such as `\x1b`;
    what is too long is clipped and ends in an ellipsis.
    """
    text = str(foreign)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = "".join(_visible(symbol) for symbol in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def was_decoded(text: str) -> bool:
    """Whether a text arrived as it was typed: nothing in it stands for bytes that are not UTF-8."""
    return _UNDECODED.search(text) is None


def _visible(symbol: str) -> str:
    if symbol.isascii() and symbol.isprintable():
        return symbol
    if unicodedata.category(symbol) not in _ESCAPED_CATEGORIES:
        return symbol
    point = ord(symbol)
    if point <= 0xFF:  # noqa: PLR2004 - the last code point that two digits write.
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - as above, four digits.
