"""What a password must be: at least twelve characters, and not a common one (NIST SP 800-63B-4).

There are no composition rules. A one-time password, which someone else has chosen and seen, is good for
one sign-in and expires (OWASP ASVS 5.0, 6.4.1).
"""

import re
from datetime import datetime, timedelta

from data.rules.safe_text import was_decoded

MIN_LENGTH = 12
MAX_LENGTH = 256
"""Longer passwords are refused before they are hashed or normalised."""
ONE_TIME_HOURS = 72
"""How long a one-time password is good by default."""
FIRST_ONE_TIME_HOURS = 24
"""The same for the first administrator's, which `init` sets."""
MAX_ONE_TIME_HOURS = 720
_READABLE = "abcdefghjkmnpqrstuvwxyz023456789"
"""Letters and digits that are not easily confused."""
_PART = 24
"""Characters that are judged at a time: zxcvbn's time grows at least with the cube of the length."""
_REPEATED = 3
"""The number of characters from which a recurring part counts as repeated."""
_COMMON_SCORE = 1
"""zxcvbn's score of passwords that fall within a million guesses."""


def fault(password: str, *, about: tuple[str, ...] = ()) -> str | None:
    """Return what is wrong with a new password, or None.

    `about` holds words about the user (name, address) that make a password guessable.
    """
    if not was_decoded(password):
        # Every umlaut from such a terminal becomes the same character here.
        return (
            "The password did not arrive as UTF-8. Set your terminal to UTF-8, or use ASCII characters only."
        )
    if len(password) < MIN_LENGTH:
        return f"The password must have at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"The password can have at most {MAX_LENGTH} characters."
    if any(_is_strong(part, about) for part in _parts(password, about)):
        return None
    return "That password is too common or too easy to guess. Choose another one."


def _parts(password: str, about: tuple[str, ...]) -> list[str]:
    """Cut a password into parts; of a long one, without the words of `about` and without repetitions.

    Guessing the whole means guessing each part, so a password is at least as strong as its strongest
    part; length by repetition adds nothing. A word that is cut in two would not be recognised.
    """
    if len(password) <= _PART:
        return [password]
    told = _without_repeats(_without_words(password, about))
    return [told[start : start + _PART] for start in range(0, len(told), _PART)]


def _without_words(password: str, about: tuple[str, ...]) -> str:
    for word in sorted(filter(None, about), key=len, reverse=True):
        password = re.sub(re.escape(word), "", password, flags=re.IGNORECASE)
    return password


def _without_repeats(password: str) -> str:
    kept, at = [], 0
    while at < len(password):
        length = _REPEATED
        while at + length <= len(password) and password[at : at + length] in password[: at + length - 1]:
            length += 1
        if length > _REPEATED:
            at += length - 1
        else:
            kept.append(password[at])
            at += 1
    return "".join(kept)


def _is_strong(part: str, about: tuple[str, ...]) -> bool:
    from zxcvbn import zxcvbn  # noqa: PLC0415 - few commands need it, and its word lists take long to load.

    score: int = zxcvbn(part, user_inputs=[word for word in about if word])["score"]
    return score > _COMMON_SCORE


def one_time_from_random(raw: bytes) -> str:
    """Turn at least 20 random bytes into a one-time password of four groups of five, 100 bits in all."""
    symbols = "".join(_READABLE[byte % 32] for byte in raw[:20])
    return "-".join(symbols[start : start + 5] for start in range(0, 20, 5))


def one_time_end(now: datetime, hours: int) -> datetime:
    """Return when a one-time password that is set now expires.

    `hours` beyond 1 and `MAX_ONE_TIME_HOURS` count as these.
    """
    return now + timedelta(hours=min(max(hours, 1), MAX_ONE_TIME_HOURS))


def one_time_terms(until: datetime) -> str:
    """Say how often and how long a one-time password is good."""
    return f"It is good for one sign-in, until {until:%Y-%m-%d %H:%M} UTC."


def one_time_ended(now: datetime, until: datetime | None) -> bool:
    """Whether a password is a one-time password that has expired."""
    return until is not None and now >= until
