"""The filters of the users table in words."""

from datetime import datetime

from data.operations.users.user_search import UserQuery
from data.rules.recovery_codes import FEW_LEFT
from data.rules.safe_text import safe

_LONGEST = 40
"""Characters of a practice's name that are shown."""


def filters_in_words(query: UserQuery) -> list[str]:
    """Return a few words for each filter that is set; the search is none of them."""
    return [words for words in _words(query) if words]


def moment_in_words(at: datetime) -> str:
    """Return a moment in UTC as it may be typed: the date, and the time unless it is midnight."""
    return f"{at:%Y-%m-%d}" if at.hour == at.minute == 0 else f"{at:%Y-%m-%d %H:%M}"


def _words(query: UserQuery) -> tuple[str, ...]:
    pending = query.pending_before
    return (
        f"2FA: {query.status.value}" if query.status else "",
        f"practice {safe(query.practice, _LONGEST)}" if query.practice is not None else "",
        f"role {query.role.label}" if query.role else "",
        f"has set up {query.method.label}" if query.method else "",
        _last_signin(query),
        f"pending since before {moment_in_words(pending)}" if pending is not None else "",
        f"{FEW_LEFT} recovery codes or fewer" if query.few_recovery_codes else "",
    )


def _last_signin(query: UserQuery) -> str:
    never = "never signed in" if query.never_signed_in else ""
    before = query.signed_in_before
    last = f"last sign-in before {moment_in_words(before)}" if before is not None else ""
    return " or ".join(words for words in (never, last) if words)
