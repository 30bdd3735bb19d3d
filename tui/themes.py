"""The themes: one accent for what is active, and the colours of the statuses for what they mean.

Texts reach WCAG's contrast AA (4.5:1) in all themes and AAA (7:1) in high contrast, also where a terminal
rounds colours to its 256 or 16: Rich rounds what is nearly grey to greys, so backgrounds have little colour.
Dim texts have colours of their own, because what Textual blends depends on the background.
"""

from typing import Final

from textual.theme import Theme

from data.rules.domain_types import ThemeChoice
from sshserver.terminal.capabilities import Colours, Terminal

DARK: Final = "twofold-dark"
LIGHT: Final = "twofold-light"
HIGH_CONTRAST: Final = "twofold-high-contrast"
SIXTEEN: Final = "twofold-sixteen"


def _theme(
    name: str,
    *,
    accent: str,
    success: str,
    warning: str,
    error: str,
    foreground: str,
    muted: str,
    dim: str,
    background: str,
    surface: str,
    panel: str,
    raised: str,
    selected: str,
    rule: str,
    dark: bool = True,
) -> Theme:
    """Return a theme; `dim` is for what is switched off, `raised` for what the mouse is over.

    `selected` is the background of selected text and of a cursor whose table has no focus.
    """
    return Theme(
        name,
        dark=dark,
        primary=accent,
        secondary=accent,
        accent=accent,
        success=success,
        warning=warning,
        error=error,
        foreground=foreground,
        background=background,
        surface=surface,
        panel=panel,
        boost=raised,
        variables={
            "text-muted": muted,
            "text-disabled": dim,
            "panel-lighten-1": raised,
            "block-hover-background": raised,
            "block-cursor-foreground": background,
            "block-cursor-blurred-background": selected,
            "input-selection-background": selected,
            "screen-selection-background": selected,
            "screen-selection-foreground": foreground,
            "scrollbar": selected,
            "scrollbar-background": background,
            "border-blurred": dim,
            "rule": rule,
        },
    )


THEMES: Final = (
    _theme(
        DARK,
        accent="#9fb4ff",
        success="#87d787",
        warning="#e5b567",
        error="#ff9a9a",
        foreground="#e2e4ea",
        muted="#b0b4bd",
        dim="#a0a4ad",
        background="#141518",
        surface="#1b1c20",
        panel="#24262b",
        raised="#2e3036",
        selected="#2c2f63",
        rule="#4d5060",
    ),
    _theme(
        LIGHT,
        dark=False,
        accent="#2f2fa8",
        success="#1d6b2f",
        warning="#754a00",
        error="#a8201f",
        foreground="#1e2026",
        muted="#494d57",
        dim="#555962",
        background="#fafafa",
        surface="#ffffff",
        panel="#ebecef",
        raised="#e1e2e7",
        selected="#cdd5f7",
        rule="#b4b8c6",
    ),
    _theme(
        HIGH_CONTRAST,
        accent="#ffe14d",
        success="#87ff87",
        warning="#ffbf5f",
        error="#ffafaf",
        foreground="#ffffff",
        muted="#e4e4e4",
        dim="#d0d0d0",
        background="#000000",
        surface="#000000",
        panel="#1c1c1c",
        raised="#303030",
        selected="#00005f",
        rule="#a0a0a0",
    ),
    _theme(
        # Each is one of the sixteen as Rich has them, so none is rounded to one close to its background.
        SIXTEEN,
        accent="#55ffff",
        success="#55ff55",
        warning="#ffff55",
        error="#ff5555",
        foreground="#ffffff",
        muted="#aaaaaa",
        dim="#aaaaaa",
        background="#000000",
        surface="#000000",
        panel="#000000",
        raised="#000000",
        selected="#0000aa",
        rule="#aaaaaa",
    ),
)
_CHOSEN: Final = {
    ThemeChoice.DARK: DARK,
    ThemeChoice.LIGHT: LIGHT,
    ThemeChoice.HIGH_CONTRAST: HIGH_CONTRAST,
}


def is_choosable(terminal: Terminal) -> bool:
    """Return whether the terminal has enough colours for a theme to choose."""
    return terminal.colours in (Colours.INDEXED, Colours.TRUE) and not terminal.no_color


def theme_for(choice: ThemeChoice, terminal: Terminal, *, is_light: bool) -> str:
    """Return the name of the theme to show; `is_light` is what the terminal told of its background."""
    if terminal.colours is Colours.SIXTEEN:
        return SIXTEEN
    return _CHOSEN.get(choice, LIGHT if is_light else DARK)
