"""Finding users by the beginning of any word: which words a user has, and what a search looks for.

A word begins after each space, and at each letter or digit that follows any other character. Case and
accents do not count. A word reaches to the next space, so that a search finds both `anna.l` and `lee` in
`anna.lee@clinic.example`.
"""

import re
import unicodedata
from itertools import pairwise

from data.rules.user_fields import phone_part, storable

LONGEST = 64
"""Characters of a word that count."""
SEARCH_LIMIT = 256
"""Characters of a search that are read."""
_TERMS = 8
"""Words of a search that are looked for."""
_BEGINNING = re.compile(r"(?<![^\W_])[^\W_]")


def fold(text: str) -> str:
    """Remove what does not count when words are compared: case, accents and the width of letters."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(symbol for symbol in plain if unicodedata.category(symbol) != "Mn")


def words(*texts: str, phone: str | None = None) -> list[str]:
    """Return the words of these texts; a word that another one begins with is left out."""
    found = {
        part[start : start + LONGEST]
        for text in texts
        for part in fold(text).split()
        for start in (0, *(begin.start() for begin in _BEGINNING.finditer(part)))
    }
    if phone:
        found |= _phone_words(phone)
    ordered = [*sorted(found), ""]
    return [word for word, following in pairwise(ordered) if not following.startswith(word)]


def terms(search: str) -> list[tuple[str, ...]]:
    """Return the terms of a search: for each term, one of its beginnings must be found."""
    typed = dict.fromkeys(word[:LONGEST] for word in fold(storable(search[:SEARCH_LIMIT])).split())
    return [
        tuple(dict.fromkeys([word, *(f"+{digits}" for digits in [phone_part(word)] if digits)]))
        for word in list(typed)[:_TERMS]
    ]


def word_range(beginning: str) -> tuple[bytes, bytes]:
    """Return the first key with this beginning, and the first key after all of them.

    Keys are compared byte by byte on every database; UTF-8 never uses the highest byte.
    """
    first = beginning.encode()
    return first, first[:-1] + bytes([first[-1] + 1])


def _phone_words(number: str) -> set[str]:
    """Return the digits of a stored number from the country code on, from the area code on, and so on."""
    import phonenumbers  # noqa: PLC0415 - see `names`.

    try:
        parsed = phonenumbers.parse(number, None)
        groups = (
            phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
            .translate(_TO_SPACES)
            .split()
        )
    except phonenumbers.NumberParseException:
        groups = [number.lstrip("+")]
    return {"+" + "".join(groups[start:]) for start in range(len(groups))}


_TO_SPACES = str.maketrans("+-/.()", "      ")
