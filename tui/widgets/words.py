"""How values read on the screen: moments, roles, statuses and names."""

from collections.abc import Set as AbstractSet
from datetime import datetime

import wcwidth
from rich.text import Text

from data.operations.policy.policy_settings import MethodsPreview
from data.rules.domain_types import Method, Mode, Role
from data.rules.policy import ATTEMPTS
from data.rules.safe_text import safe

_SHORT_ROLES = {Role.SUPPORT: "support", Role.SYSTEM_ADMIN: "system", Role.SECURITY_ADMIN: "security"}

SET_UP_TITLE = "Set up Two-Factor Authentication"

HOW_IT_WORKS = (
    "Beside your password or SSH key: a code that only your phone shows.",
    "Asked when you sign in. A code is good once, for about a minute.",
    f"{ATTEMPTS} wrong codes in a row lock you. A system administrator unlocks.",
    "Phone lost? Type a recovery code instead, or ask an administrator.",
)
"""What everyone should know of two-factor authentication here, one sentence a line."""

MODE_WORDS = {
    Mode.OFF: "Off: nobody is asked for a code, enrolled or not.",
    Mode.OPTIONAL: "Optional: people choose, unless they hold a role or it is required of them.",
    Mode.REQUIRED: "Required: everyone sets it up at their next sign-in.",
    Mode.PERMANENT: "Permanent: required of everyone, and never to be left again.",
}


def moment(at: datetime | None, otherwise: str = "never") -> str:
    """Write a moment to the minute, in UTC and saying so."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else otherwise


def day(at: datetime | None, otherwise: str = "never") -> str:
    """Write the day of a moment in UTC."""
    return f"{at:%Y-%m-%d}" if at else otherwise


def roles_in_short(roles: AbstractSet[Role]) -> str:
    """Name roles by one word each, in the order of their definition."""
    return " ".join(_SHORT_ROLES[role] for role in Role if role in roles)


def roles_in_words(roles: AbstractSet[Role]) -> str:
    """Name roles in full."""
    return ", ".join(role.label for role in Role if role in roles) or "none"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number with its noun."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


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


def left_without(preview: MethodsPreview) -> list[str]:
    """Say which methods are switched, and whom that leaves without a usable one."""
    lines = [
        f"{method.label.capitalize()}: {'on' if method in preview.after else 'off'} from now on."
        for method in Method
        if (method in preview.after) != (method in preview.before)
    ]
    if preview.without:
        others = preview.without - len(preview.without_names)
        names = ", ".join(preview.without_names) + (f" and {others} more" if others else "")
        lines.append(
            f"{counted(preview.without, 'person has', 'people have')} nothing else set up and must do so at "
            f"the next sign-in: {names}. A recovery code is asked of them first; of who has none to hand, "
            "clear the 2FA data."
        )
    elif preview.before - preview.after:
        lines.append("Everyone who has set it up keeps a method that is on.")
    if preview.you_are_left:
        lines.append("You are among them: set another method up first.")
    return lines
