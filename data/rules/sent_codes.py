"""Codes that are sent to a user: how long they are good, how many may be sent, and their wording."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from data.rules.code_answers import normalise
from data.rules.domain_types import Method


class Purpose(StrEnum):
    """What a code is for. Each purpose has its own limits, so that neither uses up the other's."""

    PROOF = "proof"
    """Proves who signs in or acts; it goes to a destination that the user has proven."""
    ENROL = "enrol"
    """Proves an address or number, which may be someone else's."""


DIGITS = 6
LIFE = timedelta(minutes=15)
"""How long a sent code is good."""
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PER_HOUR = 5
"""Codes for one purpose sent to one user within an hour."""
PER_DESTINATION = {Purpose.PROOF: 20, Purpose.ENROL: 3}
"""Codes sent to one address or number within an hour: by one account to sign in, by all accounts to enrol."""
PER_DAY = 1_000
"""Codes for one purpose that an account sends within a day, unless the settings say otherwise."""
TESTS_PER_HOUR = 5
"""Test messages that one administrator sends within an hour."""
TRIES = 7
"""Wrong answers after which a code that proves an address is void."""
LETTERS = {Method.SMS: "s", Method.EMAIL: "e"}
"""The letter that is typed instead of a code to have one sent."""
RECOVERY_FIRST = (
    "Your second factor can no longer be used. Type a recovery or temporary code, then set up 2FA again. "
    "No codes left? Ask an administrator."
)
"""Shown to a user who lost the last method and still has such codes."""
_SHOWN_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Sending:
    """A code that was sent to a user before; `failed` says that it could not be delivered."""

    at: datetime
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message to be sent: by which method, where to, and in which words."""

    method: Method
    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Show neither the words, which may hold a code, nor the address."""
        return f"Envelope({self.method.value})"


def refusal(
    now: datetime,
    purpose: Purpose,
    to_user: Iterable[Sending],
    *,
    to_destination: int,
    of_day: int,
    per_day: int,
) -> str | None:
    """Return why no further code may be sent for a purpose now, or None.

    `to_destination` counts codes of the last hour, `of_day` the account's codes of the last day. A code
    that could not be delivered does not count for the minute, so that another method can be chosen at once.
    """
    lately = [sending for sending in to_user if timedelta(0) <= now - sending.at < HOUR]
    minutes = [sending.at for sending in lately if not sending.failed and now - sending.at < MINUTE]
    if minutes:
        wait = max(minutes) + MINUTE - now
        return f"A code was sent a moment ago. The next one can be sent in {_seconds(wait)} s."
    if len(lately) >= PER_HOUR:
        wait = min(sending.at for sending in lately) + HOUR - now
        return f"{PER_HOUR} codes were sent within an hour. The next one can be sent in {_minutes(wait)} min."
    if to_destination >= PER_DESTINATION[purpose]:
        return "Too many codes were sent there within an hour. Try again later, or use another method."
    if of_day >= per_day:
        return "No more codes are sent today. Use another method or a recovery code, or ask an administrator."
    return None


def code_from_random(raw: bytes) -> str:
    """Turn at least eight random bytes into a code."""
    return str(int.from_bytes(raw[:8]) % 10**DIGITS).zfill(DIGITS)


def masked(method: Method, destination: str) -> str:
    """Return just enough of an address or number for its owner to recognise it."""
    if method is Method.EMAIL:
        local, _, domain = destination.rpartition("@")
        return f"{local[:1]}•••@{domain}"
    return f"•••• {destination[-_SHOWN_DIGITS:]}"


def prompt(methods: Sequence[Method]) -> str:
    """Word the prompt for a code, with what can be sent; without a method, it asks for a recovery code."""
    if not methods:
        return "Recovery code: "
    offers = ", ".join(
        f"{LETTERS[method]}: {method.label}" for method in Method if method in methods and method.is_sent
    )
    return f"Verification code ({offers}): " if offers else "Verification code: "


def instruction(methods: Sequence[Method]) -> str:
    """Return what must be said before the prompt, if anything."""
    if not methods:
        return RECOVERY_FIRST
    return what_to_type(methods) if any(method.is_sent for method in methods) else ""


def what_to_type(methods: Sequence[Method]) -> str:
    """Say what a user with these methods can type."""
    sent = [method for method in Method if method in methods and method.is_sent]
    if not methods:
        return "Type a recovery code."
    if not sent:
        return "Type your app's code, or a recovery code."
    letters = [f"{LETTERS[method]} to get a code by {method.label}" for method in sent]
    return f"Type {', '.join(['a code', 'a recovery code', *letters[:-1]])}, or {letters[-1]}."


def asked_for(answer: str, methods: Sequence[Method]) -> Method | None:
    """Return the method whose letter was typed instead of a code, if it is one of these."""
    typed = normalise(answer).lower()
    return next((method for method, letter in LETTERS.items() if letter == typed and method in methods), None)


def sent_at_once(methods: Sequence[Method]) -> Method | None:
    """Return the method by which a code is sent without being asked for: the only one."""
    return methods[0] if len(methods) == 1 and methods[0].is_sent else None


def envelope(method: Method, to: str, code: str, issuer: str) -> Envelope:
    """Word the message that carries a code."""
    minutes = LIFE // MINUTE
    text = f"{code} is your {issuer} verification code, good for {minutes} minutes. Don't share it."
    if method is Method.EMAIL:
        text += "\n\nIf you did not request it, someone has your password or key: tell an administrator.\n"
    return Envelope(method, to, f"{issuer} verification code", text)


def test_message(method: Method, to: str, issuer: str) -> Envelope:
    """Word a message that only tests a carrier; it holds no secret."""
    text = f"This is a test message from {issuer}. It was delivered: you have nothing to do.\n"
    return Envelope(method, to, f"{issuer} test message", text)


def _seconds(wait: timedelta) -> int:
    return max(1, -(-int(wait.total_seconds() * 1000) // 1000))


def _minutes(wait: timedelta) -> int:
    return max(1, -(-int(wait.total_seconds()) // 60))
