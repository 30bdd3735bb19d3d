"""What people type when asked for a code: how it is read, and which forms an answer can have.

An answer is judged only if it has one of these forms. A client that repeats a password or passphrase at
every prompt is not guessing.
"""

import unicodedata
from dataclasses import dataclass, field
from enum import Enum

from data.rules import recovery_codes
from data.rules.google_authenticator_file import SCRATCH_DIGITS
from data.rules.totp import DIGITS

LONGEST = 128
"""Characters of an answer that are read; a longer one has no form."""
_SEPARATORS = frozenset(".,·_'\N{RIGHT SINGLE QUOTATION MARK}\N{MINUS SIGN}")
_INVISIBLE = frozenset({"Cc", "Cf", "Mn", "Me"})
"""Control and format characters, and marks such as variation selectors."""


class Form(Enum):
    """What an answer can be, judged by its form alone."""

    CODE = "six digits, from an app or a message"
    SCRATCH_CODE = "eight digits, from an imported file"
    TWO_CODES = "twelve digits, two consecutive app codes"
    RECOVERY_CODE = "sixteen symbols"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has the form of a code; `text` is the same for all its spellings."""

    form: Form
    text: str = field(repr=False)


_BY_LENGTH = {DIGITS: Form.CODE, SCRATCH_DIGITS: Form.SCRATCH_CODE, 2 * DIGITS: Form.TWO_CODES}


def normalise(typed: str) -> str:
    """Return an answer without separators and invisible characters, cut to `LONGEST`."""
    return fold(typed[:LONGEST]).replace(" ", "")


def fold(text: str) -> str:
    """Return a text with its digits in ASCII, a space for each separator, and nothing invisible.

    Digits of any script count (Unicode's category Nd), and full-width and other compatibility forms of
    letters and digits (NFKC). Separators are white space, dashes, points, commas and the like.
    """
    return "".join(_folded(symbol) for symbol in unicodedata.normalize("NFKC", text))


def _folded(symbol: str) -> str:
    digit = unicodedata.decimal(symbol, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(symbol)
    if symbol.isspace() or category == "Pd" or symbol in _SEPARATORS:
        return " "
    return "" if category in _INVISIBLE else symbol


def read(typed: str) -> Answer | None:
    """Read an answer by its form; None if it has none."""
    if len(typed) > LONGEST:
        return None
    bare = normalise(typed)
    if bare.isascii() and bare.isdigit() and len(bare) in _BY_LENGTH:
        return Answer(_BY_LENGTH[len(bare)], bare)
    parts = recovery_codes.parse(bare)
    return None if parts is None else Answer(Form.RECOVERY_CODE, parts.selector + parts.secret)
