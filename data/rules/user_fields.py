"""Names, addresses and other fields of users.

Input over the limit of its kind is refused before anything else reads it: the time of Unicode
normalisation and IDNA grows with the square of the length.

The libraries for addresses and numbers are imported at first use: most commands need neither.
"""
# ruff: noqa: PLC0415

import re

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
_NAME_LIMIT = 32
USERNAME_LIMIT = 64
"""Characters of a user name as typed, including white space around it."""
EMAIL_LIMIT = 254
"""Characters of an e-mail address (RFC 5321 section 4.5.3.1.3 with erratum 1690 of RFC 3696)."""
PHONE_LIMIT = 64
"""Characters of a phone number as typed, including separators."""
TEXT_LIMIT = 120
"""Characters of a full name, of an account's or a practice's name, or of a key's comment."""
STORABLE_LIMIT = 1_000
"""Characters that `storable` keeps: more than any column that it is compared with can hold."""


def fold_username(typed: str) -> str | None:
    """Fold a user name to lower case; None if it is invalid."""
    if len(typed) > USERNAME_LIMIT:
        return None
    folded = typed.strip().lower()
    return folded if _USERNAME.match(folded) else None


def numbered(name: str) -> tuple[str, ...]:
    """Append a number to a user name, from 2 on, to offer when the name is taken."""
    return tuple(f"{name[: _NAME_LIMIT - len(str(number))]}{number}" for number in range(2, 20))


USERNAME_RULE = (
    "A user name has 1 to 32 of a-z, 0-9, dot, underscore and dash, and starts with a letter or digit."
)


def fold_email(typed: str) -> str | None:
    """Fold an e-mail address for comparing without case; None if it is invalid.

    Its domain must have a dot, or be `localhost` or `test`: any other single name was not typed to its end.
    """
    if len(typed) > EMAIL_LIMIT:
        return None
    import email_validator

    # Internal networks use .local and .home.arpa (RFC 6762, RFC 8375), and tests use .test (RFC 6761).
    # The other two are refused: .invalid never exists (RFC 6761), and .onion is reached only through Tor
    # (RFC 7686).
    email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = ["invalid", "onion"]
    address = typed.strip()
    try:
        return email_validator.validate_email(
            address,
            check_deliverability=False,
            test_environment=True,
            globally_deliverable=not address.lower().endswith("@localhost"),
        ).normalized.lower()
    except email_validator.EmailNotValidError:
        return None


def ascii_domain(domain: str) -> str:
    """Return a domain in ASCII, with A-labels (RFC 5890) where it has other letters.

    Raises:
        ValueError: when it is not a domain.
    """
    if domain.isascii():
        return domain
    import idna

    return idna.encode(domain, uts46=True).decode("ascii")


def ascii_email(address: str) -> str:
    """Return an address in the form that any mail server accepts.

    An address with other letters before the @ is unchanged: only SMTPUTF8 (RFC 6531) carries it.

    Raises:
        ValueError: when its domain is invalid.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}" if local.isascii() else address


def fold_phone(typed: str) -> str | None:
    """Return a phone number in E.164 form; None if it is not a number that can be called.

    It must begin with + and the country code, because the country is not known here.
    """
    if len(typed) > PHONE_LIMIT:
        return None
    import phonenumbers

    try:
        number = phonenumbers.parse(storable(typed), None)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def fold_optional_phone(typed: str) -> str | None:
    """Return a phone number as `fold_phone` does; white space alone means no number, and becomes empty."""
    if len(typed) <= PHONE_LIMIT and not typed.strip():
        return ""
    return fold_phone(typed)


def phone_to_read(number: str) -> str:
    """Format a stored E.164 number in groups, as people read and type it."""
    import phonenumbers

    return phonenumbers.format_number(
        phonenumbers.parse(number, None), phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )


PHONE_RULE = "That is not a phone number. Start with + and the country code: +49 30 1234567."


def phone_part(word: str) -> str:
    """Return the digits of a search word that can be part of a stored number; else empty.

    The zero that replaces the country code is left out.
    """
    bare = word.translate(_PHONE_MARKS)
    return bare.lstrip("0") if bare.isascii() and bare.isdigit() else ""


_PHONE_MARKS = str.maketrans("", "", "+-/.()")


def storable(typed: str) -> str:
    """Replace characters that not every database accepts: NUL and lone surrogates.

    Text longer than anything stored is cut, and so equals nothing stored.
    """
    return typed[:STORABLE_LIMIT].encode("utf-8", "replace").decode("utf-8").replace("\0", "?")


def tidy(typed: str) -> str | None:
    """Fold the white space of a name; None if it is too long."""
    if len(typed) > STORABLE_LIMIT:
        return None
    tidied = " ".join(storable(typed).split())
    return tidied if len(tidied) <= TEXT_LIMIT else None
