"""Invitations and reminders by e-mail: who may be invited, where people sign in, and the words.

An invitation carries a one-time password, and anyone who reads the mailbox has it. So only people who
have nothing else to sign in with are invited, and codes by e-mail are not a second factor next to it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from textwrap import fill

from data.rules.deadline import days_in_words
from data.rules.domain_types import Method
from data.rules.safe_text import safe
from data.rules.sent_codes import Envelope

HOURS = 168
"""How long the one-time password of an invitation is good."""
REMINDED_EVERY = timedelta(days=1)
"""A user is reminded at most once within this time."""
EMAIL_AFTER_ANOTHER = (
    "Your password came by e-mail, so codes by e-mail would not be a second factor. Set up another method "
    "first, or ask an administrator for a one-time password in person."
)
_STANDARD_PORT = 22
_MOST_PORT = 65_535
_COLUMNS = 72
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where people sign in; `fingerprint` is the host key's, as OpenSSH shows it (`SHA256:...`)."""

    host: str
    port: int
    fingerprint: str

    def command(self, name: str) -> str:
        """Return the command line with which a user signs in."""
        port = "" if self.port == _STANDARD_PORT else f"-p {self.port} "
        return f"ssh {port}{name}@{self.host}"


@dataclass(frozen=True, slots=True)
class Invitee:
    """What an invitation depends on. `has_factor` also counts factors that were set up and are gone."""

    name: str
    active: bool = True
    locked: bool = False
    has_role: bool = False
    has_own_password: bool = False
    has_key: bool = False
    has_factor: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """Who receives an invitation or a reminder, where they sign in, and who asked for it (`by`, in words)."""

    to: str
    name: str
    account: str
    by: str
    ssh: SshAddress
    issuer: str
    must_set_up: bool


def parse_address(text: str, port: int) -> tuple[str, int] | None:
    """Read `HOST`, `HOST:PORT` or `[IPv6]:PORT`; without a port it is `port`. None for anything else."""
    if _is_ipv6(text):
        return text, port
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        return None
    host = found["v6"] or found["host"]
    fits = _is_ipv6(host) if found["v6"] else _HOST.fullmatch(host) is not None
    number = int(found["port"]) if found["port"] else port
    return (host, number) if fits and 0 < number <= _MOST_PORT else None


def is_reachable(host: str) -> bool:
    """Whether other computers can connect to a host that a server listens on by this name."""
    try:
        address = ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and host != "localhost"
    return not address.is_loopback and not address.is_unspecified


def address_in(detail: Mapping[str, object]) -> SshAddress:
    """Read an address from its stored fields."""
    return SshAddress(str(detail["host"]), int(str(detail["port"])), str(detail["fingerprint"]))


def why_not(invitee: Invitee) -> str | None:
    """Return why someone cannot be invited, or None."""
    reasons = (
        (not invitee.active, "is deactivated"),
        (invitee.locked, "is locked"),
        (invitee.has_role, "holds a role: hand a one-time password over in person"),
        (invitee.has_own_password, "has a password of their own"),
        (invitee.has_key, "has an SSH key"),
        (invitee.has_factor, "has set up two-factor authentication"),
    )
    return next((f"{invitee.name} {reason}." for applies, reason in reasons if applies), None)


def invitation(letter: Letter, password: str, until: datetime) -> Envelope:
    """Word an invitation."""
    set_up = " and set up two-factor authentication: have your phone ready" if letter.must_set_up else ""
    added = f"You have been added to {safe(letter.account)}. To sign in, type this in a terminal:"
    text = (
        f"Hello {letter.name},\n"
        f"\n"
        f"{_wrapped(added)}\n"
        f"\n"
        f"{_how(letter.ssh, letter.name)}"
        f"ssh then asks for a password. Type this one-time password:\n"
        f"\n"
        f"    {password}\n"
        f"\n"
        f"{_wrapped(_terms(until))}\n"
        f"\n"
        f"{_wrapped(f'After that, you choose your own password{set_up}.')}\n"
        f"\n"
        f"{_end(letter)}"
    )
    return Envelope(Method.EMAIL, letter.to, f"{letter.issuer}: how to sign in", text)


def reminder(letter: Letter) -> Envelope:
    """Word a reminder to set up two-factor authentication."""
    asked = (
        f"You must set up two-factor authentication for {safe(letter.account)}, but have not done so yet. "
        "It takes a few minutes. Have your phone ready, and type this in a terminal to sign in:"
    )
    text = (
        f"Hello {letter.name},\n"
        f"\n"
        f"{_wrapped(asked)}\n"
        f"\n"
        f"{_how(letter.ssh, letter.name)}"
        f"You are then guided through the setup.\n"
        f"\n"
        f"{_end(letter)}"
    )
    return Envelope(Method.EMAIL, letter.to, f"{letter.issuer}: set up two-factor authentication", text)


@dataclass(frozen=True, slots=True)
class DeadlineLetter:
    """Who is reminded of a deadline, and where they sign in if the settings say.

    `days_left` are those of this user; None where they must set it up at their next sign-in.
    """

    to: str
    name: str
    account: str
    issuer: str
    deadline: datetime
    days_left: int | None
    ssh: SshAddress | None


def deadline_reminder(letter: DeadlineLetter) -> Envelope:
    """Word a reminder of the deadline by which everyone must have set up two-factor authentication."""
    account, must_now = safe(letter.account), letter.days_left is None
    left = "set up two-factor authentication" if letter.days_left is None else days_in_words(letter.days_left)
    yet = ", and must at your next sign-in" if must_now else f": {left}"
    asked = (
        f"From {letter.deadline:%Y-%m-%d} on, everyone in {account} must use two-factor authentication. You "
        f"have not set it up yet{yet}. It takes a few minutes. Have your phone ready, and "
    )
    then = (
        "You then set it up."
        if must_now
        else "Twofold then offers to set it up; you can also do it on My profile."
    )
    reachable = letter.ssh is not None and letter.ssh.fingerprint
    asked += "type this in a terminal to sign in:" if reachable else "sign in as usual."
    text = (
        f"Hello {letter.name},\n"
        f"\n"
        f"{_wrapped(asked)}\n"
        f"\n"
        f"{_how(letter.ssh, letter.name) if letter.ssh and reachable else ''}"
        f"{then}\n"
        f"\n"
        f"Account: {account}\n"
        f"\n"
        f"{_wrapped(_unexpected(account))}\n"
    )
    return Envelope(Method.EMAIL, letter.to, f"{letter.issuer}: {left}", text)


def _how(ssh: SshAddress, name: str) -> str:
    trust = "The first time, ssh shows the fingerprint of the server's key. Go on only if it is this one:"
    return f"    {ssh.command(name)}\n\n{_wrapped(trust)}\n\n    {ssh.fingerprint}\n\n"


def _terms(until: datetime) -> str:
    return (
        f"It is good for one sign-in, until {until:%Y-%m-%d %H:%M} UTC. If you received several such "
        "messages, only the password in the newest one works."
    )


def _end(letter: Letter) -> str:
    account = safe(letter.account)
    return f"Account: {account}\nBy:      {safe(letter.by)}\n\n{_wrapped(_unexpected(account))}\n"


def _unexpected(account: str) -> str:
    return (
        f"If you did not expect this, ask an administrator of {account} in person or by phone. "
        "Please don't reply to this message."
    )


def _wrapped(paragraph: str) -> str:
    return fill(paragraph, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
