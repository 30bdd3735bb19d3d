"""What a password must be: twelve characters or more, not among the commonest (NIST SP 800-63B-4).

There are no composition rules. A one-time password, which someone else has chosen and seen, is good for one
sign-in and has an end (OWASP ASVS 5.0, 6.4.1).
"""

from datetime import datetime, timedelta

from zxcvbn import zxcvbn

from data.rules.text import was_decoded

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
_JUDGED_LENGTH = 72
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
        return f"The password needs {MIN_LENGTH} characters or more."
    if len(password) > MAX_LENGTH:
        return f"The password may have {MAX_LENGTH} characters at most."
    judged = zxcvbn(password[:_JUDGED_LENGTH], user_inputs=[word for word in about if word])
    if judged["score"] <= _COMMON_SCORE:
        return "That password is among the commonest or too easily guessed. Choose another one."
    return None


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
