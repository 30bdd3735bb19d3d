"""What the client's terminal can show, judged only from what the client says about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sshserver.limits.limit_values import Limits

_TERM_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_VALUE_FORM = re.compile(r"[\x20-\x7e]*")
_ASKS_PLAIN = ("ACCESSIBLE", "TWOFOLD_PLAIN")
_WANTED = re.compile(r"LANG|LC_[A-Z]{1,20}|COLORTERM|NO_COLOR|" + "|".join(_ASKS_PLAIN))
_SAYS_NO = ("", "0", "no", "false", "off")
_TRUE_COLOUR_TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm", "contour")
_MONOCHROME = re.compile(r"vt[0-9]+.*|.*-(mono|m)")
_USABLE_FALLBACK = (80, 24)
ASK_BACKGROUND: Final = "\x1b]11;?\x1b\\"
"""Asks for the background's colour (xterm's ctlseqs, OSC 11)."""
_BACKGROUND = re.compile(r"\x1b\]11;rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})\b.*", re.IGNORECASE)
_BRIGHTNESS = (0.299, 0.587, 0.114)
"""How much red, green and blue add to it (ITU-R BT.601)."""


class Colours(Enum):
    """How many colours a terminal shows."""

    NONE = "none"
    SIXTEEN = "16"
    INDEXED = "256"
    TRUE = "truecolor"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The client's terminal at the start of a session; `columns` and `rows` are already clamped."""

    term: str = "xterm"
    colours: Colours = Colours.SIXTEEN
    no_color: bool = False
    """The user asked for output without colour (no-color.org)."""
    columns: int = 80
    rows: int = 24
    language: str = ""
    """The client's LC_ALL, LC_MESSAGES or LANG, or an empty string."""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return (self.columns, self.rows)


def describe(term: str, environment: Mapping[str, str], size: tuple[int, int], limits: Limits) -> Terminal:
    """Return a terminal of a well-formed type, described by the kept environment of its client."""
    columns, rows = clamp(size, limits)
    return Terminal(
        term=term,
        colours=colours_of(term, environment.get("COLORTERM", "")),
        no_color=bool(environment.get("NO_COLOR")),
        columns=columns,
        rows=rows,
        language=next(
            (environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), ""
        ),
    )


def is_usable(term: str) -> bool:
    """Return whether a terminal type is well formed and can place characters on a screen."""
    return term not in ("dumb", "unknown") and _TERM_FORM.fullmatch(term) is not None


def wants_plain(term: str | None, environment: Mapping[str, str]) -> bool:
    """Return whether only static text can be shown, or is wanted; without a terminal, `term` is None."""
    if term is None or not is_usable(term):
        return True
    return any(environment.get(name, "").strip().lower() not in _SAYS_NO for name in _ASKS_PLAIN)


def colours_of(term: str, colorterm: str = "") -> Colours:
    """Return the number of colours, judged from TERM and COLORTERM.

    Source: terminfo's naming (`-256color`, `-direct`, `-mono`, `-m`) and the COLORTERM convention.
    """
    if colorterm in ("truecolor", "24bit") or term.endswith("-direct") or term.startswith(_TRUE_COLOUR_TERMS):
        return Colours.TRUE
    if "256color" in term:
        return Colours.INDEXED
    return Colours.NONE if _MONOCHROME.fullmatch(term) else Colours.SIXTEEN


def is_light(answer: str) -> bool | None:
    """Return whether the background is light, from the answer to `ASK_BACKGROUND`; None for anything else.

    A colour has one to four hexadecimal digits for each of red, green and blue (XParseColor).
    """
    found = _BACKGROUND.match(answer)
    if found is None:
        return None
    parts = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    brightness: float = sum(part * weight for part, weight in zip(parts, _BRIGHTNESS, strict=True))
    return brightness > 0.5  # noqa: PLR2004 - between black and white.


def clamp(size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """Return columns and rows within limits; 0 means unknown."""
    columns, rows = size
    columns, rows = columns or _USABLE_FALLBACK[0], rows or _USABLE_FALLBACK[1]
    return (
        min(max(columns, limits.min_columns), limits.max_columns),
        min(max(rows, limits.min_rows), limits.max_rows),
    )


def keeps_variable(name: str, value: str, kept: int, limits: Limits) -> bool:
    """Return whether a client's environment variable is kept, if `kept` others already are."""
    return (
        kept < limits.environment_variables
        and len(value) <= limits.environment_bytes
        and _WANTED.fullmatch(name) is not None
        and _VALUE_FORM.fullmatch(value) is not None
    )
