"""What a password must be: twelve characters or more, not among the commonest (NIST SP 800-63B-4).

There are no composition rules. A one-time password, which someone else has chosen and seen, is good for one
sign-in and has an end (OWASP ASVS 5.0, 6.4.1).
"""

import re
from datetime import datetime, timedelta

from data.rules.safe_text import was_decoded

MIN_LENGTH = 12
MAX_LENGTH = 256
"""Longer passwords are refused before they are hashed or normalised."""
ONE_TIME_HOURS = 72
"""How long a one-time password is good, unless whoever sets it says otherwise."""
FIRST_ONE_TIME_HOURS = 24
"""The same of the first administrator's, which `init` sets."""
MAX_ONE_TIME_HOURS = 720
_READABLE = "abcdefghjkmnpqrstuvwxyz023456789"
"""Letters and digits that are not mistaken for each other."""
_PART = 24
"""Characters that are judged at a time: what zxcvbn takes grows with the cube of the length and beyond."""
_REPEATED = 3
"""Characters from which on something that came before counts as repeated."""
_COMMON_SCORE = 1
"""zxcvbn's score of passwords that fall within a million guesses."""


def fault(password: str, *, about: tuple[str, ...] = ()) -> str | None:
    """Say what is wrong with a new password, or None.

    `about` holds words that stand close to the user (name, address) and make a password guessable.
    """
    if not was_decoded(password):
        # Every umlaut of such a terminal is the same character here.
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

    Whoever guesses the whole guesses each part: it is as strong as its strongest part at least, and its
    length alone adds nothing where it repeats itself. A word that is cut in two would not be known again.
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
    """Return the moment from which a one-time password that is set now is refused.

    `hours` beyond 1 and `MAX_ONE_TIME_HOURS` count as these.
    """
    return now + timedelta(hours=min(max(hours, 1), MAX_ONE_TIME_HOURS))


def one_time_terms(until: datetime) -> str:
    """Say how often and how long a one-time password is good."""
    return f"It is good for one sign-in, until {until:%Y-%m-%d %H:%M} UTC."


def one_time_ended(now: datetime, until: datetime | None) -> bool:
    """Whether a password is a one-time password that is good no longer."""
    return until is not None and now >= until
