"""Applications that ask whether their users may sign in: what can be said of one, and its guesses."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network

from data.rules.domain_types import Application, Role
from data.rules.totp import DIGITS

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,15}\Z")
_RESERVED = frozenset({Application.SSH, Application.LOCAL, Application.HOST})
NAME_RULE = (
    "An application's name has 1 to 16 of a-z, 0-9, dot, underscore and dash, starts with a letter or digit, "
    "and is not ssh, local or host."
)
TYPED_LIMIT = 64
"""Characters of a name, a network, a token or a transaction ID as typed."""
ANSWER_LIMIT = 2_048
"""Characters of a password and a code in one field."""
LOOPBACK = ("127.0.0.0/8", "::1/128")
"""The networks of an application that none were named for."""
MOST_NETWORKS = 32
ATTRIBUTE_LIMIT = 128
"""Bytes of each value that RADIUS tells of a user."""
GUESSED_USERS = 10
"""Users whose codes were wrong within `GUESSING_MINUTES` that suspend an application."""
GUESSING_MINUTES = 10
REJECTED = "The code was not accepted."
"""What an application that checks passwords itself is told of every rejected code."""


class Protocol(StrEnum):
    """How an application asks."""

    HTTP = "http"
    RADIUS = "radius"

    @property
    def label(self) -> str:
        """The protocol in words."""
        return self.value.upper()

    @property
    def secret(self) -> str:
        """What its secret is called."""
        return "token" if self is Protocol.HTTP else "secret"


class Asks(StrEnum):
    """What an application asks, and so who checks the password."""

    CODE = "code"
    """A code alone: the application has checked the password itself."""
    PASSWORD_THEN_CODE = "password-then-code"  # noqa: S105 - the name of a kind, not a password.
    PASSWORD_AND_CODE = "password-and-code"  # noqa: S105 - as above.
    """Both in one field."""

    @property
    def has_password(self) -> bool:
        """Whether the password is checked here."""
        return self is not Asks.CODE

    @property
    def words(self) -> str:
        """What is checked here, in words."""
        return {
            Asks.CODE: "code; it checks the password itself",
            Asks.PASSWORD_THEN_CODE: "password, then code",
            Asks.PASSWORD_AND_CODE: "password and code in one field",
        }[self]


class ReplyAttribute(StrEnum):
    """What RADIUS can tell of a user who may sign in (RFC 2865 sections 5.11 and 5.25)."""

    FILTER_ID = "Filter-Id"
    CLASS = "Class"


@dataclass(frozen=True, slots=True)
class Told:
    """A value that RADIUS tells of users who hold a role, are in a practice, or of all if neither is set."""

    attribute: ReplyAttribute
    value: str
    role: Role | None = None
    practice: str | None = None

    @property
    def text(self) -> str:
        """This as `parse_told` reads it."""
        who = f"role:{self.role}" if self.role else f"practice:{self.practice}" if self.practice else "all"
        return f"{who}={self.value}"


def parse_told(attribute: ReplyAttribute, typed: str) -> Told | None:
    """Read `role:support=VALUE`, `practice:NAME=VALUE` or `all=VALUE`; None for anything else."""
    who, _, value = typed.partition("=")
    kind, _, name = who.strip().partition(":")
    if not 0 < len(value.encode("utf-8", "replace")) <= ATTRIBUTE_LIMIT or not value.isprintable():
        return None
    if kind == "role" and name in {role.value for role in Role}:
        return Told(attribute, value, role=Role(name))
    if kind == "practice" and name:
        return Told(attribute, value, practice=name)
    return Told(attribute, value) if who.strip() == "all" else None


@dataclass(frozen=True, slots=True)
class NewApplication:
    """An application to be added; without `networks` it asks from loopback, without `practices` for all.

    `accept_without_2fa` says that users are accepted by their password alone where the rules ask for no code,
    `may_send` that it may have codes sent to users whose password it has checked itself, and `lenient` that
    its packets need no Message-Authenticator. `told` is what RADIUS tells it of users who may sign in.
    """

    name: str
    protocol: Protocol
    asks: Asks
    networks: tuple[str, ...] = ()
    practices: tuple[str, ...] = ()
    accept_without_2fa: bool = False
    may_send: bool = False
    lenient: bool = False
    told: tuple[Told, ...] = ()


def fold_name(typed: str) -> str | None:
    """Fold an application's name to lower case; None if it is invalid."""
    if len(typed) > TYPED_LIMIT:
        return None
    folded = typed.strip().lower()
    return folded if _NAME.match(folded) and folded not in _RESERVED else None


def why_not(new: NewApplication) -> str | None:
    """Return why an application cannot be as it is described; None if it can."""
    if new.accept_without_2fa and not new.asks.has_password:
        return (
            "An application that asks for the code alone cannot accept people without one: nothing would be "
            "checked. Use --asks password-then-code."
        )
    if new.may_send and new.asks.has_password:
        return (
            "Codes are sent after the password anyway. Only an application with --asks code needs --may-send."
        )
    if (new.lenient or new.told) and new.protocol is not Protocol.RADIUS:
        return "Only RADIUS has a Message-Authenticator to leave out, and a Filter-Id and a Class."
    if len(new.networks) > MOST_NETWORKS or len(new.told) > MOST_NETWORKS:
        return f"An application has at most {MOST_NETWORKS} networks, and as many attributes."
    return None


def token_hash(token: str) -> str:
    """Hash a token or a transaction ID; a fast hash is enough, because nobody can guess 192 random bits."""
    return hashlib.sha256(token[:TYPED_LIMIT].encode("utf-8", "replace")).hexdigest()


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address, as `normalise` writes it, belongs to one of these networks."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network) for network in networks)


@dataclass(frozen=True, slots=True)
class Fields:
    """A password and a code that were typed into one field; the code may be empty."""

    password: str = field(repr=False)
    code: str = field(repr=False)


def split_answer(typed: str) -> Fields:
    """Split one field: the code is what follows the last comma, or else the last six digits.

    There is one way to read each answer, so that it is one attempt.
    """
    password, comma, code = typed.rpartition(",")
    if comma:
        return Fields(password, code)
    code = typed[-DIGITS:]
    if len(code) == DIGITS and code.isascii() and code.isdigit():
        return Fields(typed[:-DIGITS], code)
    return Fields(typed, "")
