"""Foreign strings, made safe to show in a terminal, a log, a message or a spreadsheet."""

import codecs
import re
import unicodedata

import idna

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format, surrogate, private-use and unassigned characters, and line separators."""
JOINERS = "\u200c\u200d"
"""The joiners: without them, some scripts spell different words."""
_JOINER = re.compile(f"[{JOINERS}]")
_REACH = 32
"""Characters on either side that say whether letters need a joiner."""
_ESCAPE = re.compile(r"\\[xuU]((?<=x)[0-9a-f]{2}|(?<=u)[0-9a-f]{4}|(?<=U)00(?:0[0-9a-f]|10)[0-9a-f]{4})")
SHOWN_LIMIT = 256
_UNDECODED = re.compile("[\ufffd\ud800-\udfff]")
"""How a byte that is not UTF-8 is represented: U+FFFD, or a lone surrogate (PEP 383)."""
_FORMULA_STARTS = frozenset("=+-@＝＋－＠\t\r\n")  # noqa: RUF001 - some take the full-width ones too.
"""First characters of a cell that spreadsheets take for a formula, or skip before one (OWASP)."""
_TEXT_MARK = "'"


def safe(foreign: object, limit: int = SHOWN_LIMIT) -> str:
    r"""Return a string of at most `limit` characters without anything a terminal acts on.

    Control, format, surrogate and private-use characters become visible escapes such as `\x1b`, but for
    joiners between letters that need them; what is too long is clipped and ends in an ellipsis.
    It is for display only: stored text and files keep their characters.
    """
    text = str(foreign)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = _escaped(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def editable(text: str) -> str:
    r"""Escape a text as `safe` does, so that `edited` gives it back as it was.

    Text that already looks like an escape gets `\x5c` in place of its backslash.
    """
    return _escaped(_ESCAPE.sub(lambda found: r"\x5c" + found[0][1:], text))


def edited(typed: str) -> str:
    """Return the text of a field that was filled by `editable` and perhaps edited."""
    return _ESCAPE.sub(_unescaped, typed)


def encoding_of(raw: bytes, otherwise: str = "utf-8") -> str:
    """Return the encoding that a byte order mark announces, one that drops the mark; else the given one."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else otherwise


def was_decoded(text: str) -> bool:
    """Whether a text arrived as it was typed: it holds no replacement for bytes that are not UTF-8."""
    return _UNDECODED.search(text) is None


def neutralised(cell: str) -> str:
    """Put an apostrophe before a formula, so that a spreadsheet shows the cell as text.

    A cell that `plain_cell` would take an apostrophe from gets another one, so that every cell survives both.
    """
    return _TEXT_MARK + cell if _starts_a_formula(cell.lstrip(_TEXT_MARK)) else cell


def plain_cell(cell: str) -> str:
    """Remove the apostrophe that `neutralised` added."""
    return cell[1:] if cell[:1] == _TEXT_MARK and _starts_a_formula(cell.lstrip(_TEXT_MARK)) else cell


def _escaped(text: str) -> str:
    shown = "".join(symbol if symbol in JOINERS else _visible(symbol) for symbol in text)
    return _JOINER.sub(
        lambda found: found[0] if _joins_letters(shown, found.start()) else _escape(found[0]), shown
    )


def _visible(symbol: str) -> str:
    if symbol.isascii() and symbol.isprintable():
        return symbol
    return _escape(symbol) if unicodedata.category(symbol) in _ESCAPED_CATEGORIES else symbol


def _escape(symbol: str) -> str:
    point = ord(symbol)
    if point <= 0xFF:  # noqa: PLR2004 - the last code point that two digits write.
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - as above, four digits.


def _joins_letters(text: str, at: int) -> bool:
    """Whether a joiner stands between letters that need it (UAX #31, RFC 5892 appendix A)."""
    try:
        return idna.valid_contextj(text[max(0, at - _REACH) : at + _REACH], min(at, _REACH))
    except ValueError:  # A neighbour has no name.
        return False


def _unescaped(found: re.Match[str]) -> str:
    symbol = chr(int(found[1], 16))
    is_ours = symbol == "\\" or unicodedata.category(symbol) in _ESCAPED_CATEGORIES
    return symbol if is_ours else found[0]


def _starts_a_formula(cell: str) -> bool:
    return any(start in _FORMULA_STARTS for start in (cell[:1], cell.lstrip()[:1]))
