"""Finding people by the beginning of any word: which words a person has, and what a search looks for.

A word begins at the start of what stands between spaces, and at each letter or digit after something
that is neither. Case and accents do not count. A word reaches to the next space, so that a search
finds `anna.l` as well as `lee` in `anna.lee@clinic.example`.
"""

import re
import unicodedata
from itertools import pairwise

from data.rules.user_fields import phone_part, storable

LONGEST = 64
"""Characters of a word that count."""
SEARCH_LIMIT = 256
"""Characters of a search that are looked at."""
_TERMS = 8
"""Words of a search that are looked for."""
_BEGINNING = re.compile(r"(?<![^\W_])[^\W_]")


def fold(text: str) -> str:
    """Take away what does not count when words are compared: case, accents, the width of letters."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(symbol for symbol in plain if unicodedata.category(symbol) != "Mn")


def words(*texts: str, phone: str | None = None) -> list[str]:
    """Return the words of a person or a thing; what another of them begins with is left out."""
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
    """Return what a search looks for: of each term, one of the beginnings is to be found."""
    typed = dict.fromkeys(word[:LONGEST] for word in fold(storable(search[:SEARCH_LIMIT])).split())
    return [
        tuple(dict.fromkeys([word, *(f"+{digits}" for digits in [phone_part(word)] if digits)]))
        for word in list(typed)[:_TERMS]
    ]


def word_range(beginning: str) -> tuple[bytes, bytes]:
    """Return the first key with this beginning, and the first one after all of them.

    Keys are compared byte by byte, on every database; no byte of UTF-8 is the last one of all.
    """
    first = beginning.encode()
    return first, first[:-1] + bytes([first[-1] + 1])


def _phone_words(number: str) -> set[str]:
    """Return the digits of a stored number from the country on, from the area on, and so on."""
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
