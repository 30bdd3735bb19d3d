"""SASLprep (RFC 4013) without the search of nine tables for each character of an ASCII name.

asyncssh prepares the name in every request of a sign-in.
"""

from typing import Any, cast

from asyncssh import connection, saslprep

SASLPrepError = saslprep.SASLPrepError


def prepare(text: str) -> str:
    """Return a text as SASLprep does; printable ASCII is not changed by it.

    Raises:
        SASLPrepError: when it holds a character that must not stand in it.
    """
    return text if text.isascii() and text.isprintable() else saslprep.saslprep(text)


def install() -> None:
    """Use it for every connection of this process.

    Raises:
        AttributeError: when the installed asyncssh is not the version that this was written for.
    """
    _ = cast("Any", connection).saslprep  # What it replaces.
    cast("Any", connection).saslprep = prepare
