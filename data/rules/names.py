"""Names, addresses and other strings that people give for themselves."""

import re

from email_validator import EmailNotValidError, validate_email

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
TEXT_LIMIT = 120
"""Characters of a full name, of an account's name or of a key's comment."""


def fold_username(typed: str) -> str | None:
    """Fold a user name to lower case; None when it is not one."""
    folded = typed.strip().lower()
    return folded if _USERNAME.match(folded) else None


USERNAME_RULE = "A user name has 1 to 32 of a-z, 0-9, dot, underscore and dash, first a letter or digit."


def fold_email(typed: str) -> str | None:
    """Fold an e-mail address for comparing without case; None when it is not one."""
    try:
        return validate_email(
            typed.strip(), check_deliverability=False, test_environment=True
        ).normalized.lower()
    except EmailNotValidError:
        return None


def storable(typed: str) -> str:
    """Replace lone surrogates, which stand for bytes that are no text and which no database takes."""
    return typed.encode("utf-8", "replace").decode("utf-8")


def tidy(typed: str) -> str | None:
    """Fold the white space of a name; None when it is too long."""
    tidied = " ".join(storable(typed).split())
    return tidied if len(tidied) <= TEXT_LIMIT else None
