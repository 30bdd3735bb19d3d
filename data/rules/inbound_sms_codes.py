"""Authorisation codes: a screen shows one, and the user sends it in as a text message.

This proves the sender's number. A code has twelve digits, because any phone can type them and none
autocorrects them. A million guesses at a hundred awaited codes succeed with a chance of one in ten thousand.
"""

import re
from datetime import datetime, timedelta

from data.rules.code_answers import fold
from data.rules.user_fields import PHONE_LIMIT, fold_phone

DIGITS = 12
LIFE = timedelta(minutes=15)
"""How long a shown code is awaited."""
_APART = timedelta(minutes=1)
"""How far the clock of the host that receives a message may be behind the host that shows the code."""
_GROUP = 4
_TEXT_LIMIT = 2_000
_CODE = re.compile(rf"(?<!\d)\d(?: {{0,2}}\d){{{DIGITS - 1}}}(?!\d)")
_NUMBER = re.compile(r"\+[0-9 ()./-]+\Z")


def code_from_random(raw: bytes) -> str:
    """Turn at least eight random bytes into a code."""
    return str(int.from_bytes(raw[:8]) % 10**DIGITS).zfill(DIGITS)


def grouped(code: str) -> str:
    """Format a code for display, in groups of four digits."""
    return " ".join(code[start : start + _GROUP] for start in range(0, DIGITS, _GROUP))


def code_in(text: str) -> str | None:
    """Find the code in a text message: digits of any script, with words and signatures around them."""
    found = _CODE.search(fold(text[:_TEXT_LIMIT]))
    return None if found is None else found.group().replace(" ", "")


def is_live(now: datetime, shown_at: datetime) -> bool:
    """Whether a code that was shown at that moment is still awaited."""
    return -_APART <= now - shown_at < LIFE


def sender_number(sender: str) -> str | None:
    """Return a sender in E.164 form; None for a name or a number that cannot be called back.

    A number without + and the country code is not guessed at: a wrong guess would send codes to a stranger.
    """
    bare = sender.strip() if len(sender) <= PHONE_LIMIT else ""
    return fold_phone(bare) if _NUMBER.match(bare) else None
