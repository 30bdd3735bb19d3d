"""Targets: what they may be called, how their hosts are written, and who may jump to any at all."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from data.rules.domain_types import Mode, Policy, Role, UserFacts
from data.rules.invitations import SshAddress
from data.rules.policy import (
    NOT_AVAILABLE,
    MustChangePassword,
    NeedCode,
    Refused,
    SignedIn,
    Step,
)
from data.rules.safe_text import safe
from data.rules.source_addresses import Network
from data.rules.target_addresses import why_not_address, why_special
from data.rules.user_fields import ascii_domain

HOST_LIMIT = 255
"""Characters of a host as typed, with a dot at its end or brackets around it."""
NAME_LIMIT = 64
"""Characters of a target's name as typed."""
SSH_PORT = 22
LAST_PORT = 65_535
MOST_TARGETS = 500
"""Targets of an account."""
MOST_GRANTS = 100
"""Practices, roles and users together that a target is for."""
LISTED = 10
"""Targets that a refusal names."""
_SHOWN = 64
_LONGEST_NAME = 253
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,15}\Z")
NAME_RULE = (
    "A target's name has 1 to 32 of a-z, 0-9, dot, underscore and dash, starts with a letter or digit, and "
    "does not end in a number of its own, as addresses do."
)
HOST_RULE = (
    "That is not a host. Write a name such as db1.clinic.example, or an address in its usual form, such as "
    "10.0.0.5."
)


@dataclass(frozen=True, slots=True)
class NewTarget:
    """A target to add, as typed; without practices, roles and users it is for everyone in the account."""

    name: str
    host: str
    port: int = SSH_PORT
    practices: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    users: tuple[str, ...] = ()


def fold_name(typed: str) -> str | None:
    """Fold a target's name to lower case; None if it is invalid."""
    if len(typed) > NAME_LIMIT:
        return None
    folded = typed.strip().lower()
    return folded if _NAME.match(folded) and not _ends_in_number(folded) else None


def fold_host(typed: str) -> str | None:
    """Fold a host to the form in which it is kept and compared; None if it is not one.

    An address must be written in full. A name whose last label is a number is none: libraries read
    `2130706433`, `0x7f.1` and `017700000001` as 127.0.0.1 (see inet_aton(3)), whatever was checked before.
    """
    if len(typed) > HOST_LIMIT:
        return None
    text = typed.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if ":" in text:
        return _fold_ipv6(text)
    try:
        return str(ip_address(text))
    except ValueError:
        return _fold_host_name(text)


def _fold_ipv6(text: str) -> str | None:
    plain, percent, zone = text.partition("%")
    try:
        parsed = ip_address(plain)
    except ValueError:
        return None
    if percent:
        return f"{parsed}%{zone}" if parsed.is_link_local and _ZONE.match(zone) else None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def _fold_host_name(text: str) -> str | None:
    try:
        name = ascii_domain(text).lower().removesuffix(".")
    except ValueError:
        return None
    if len(name) > _LONGEST_NAME or _ends_in_number(name):
        return None
    return name if all(_LABEL.match(label) for label in name.split(".")) else None


def _ends_in_number(name: str) -> bool:
    return _NUMBER.match(name.rpartition(".")[2]) is not None


def is_address(host: str) -> bool:
    """Whether a folded host is an address and not a name."""
    return ":" in host or _ends_in_number(host)


def folded(new: NewTarget) -> NewTarget | str:
    """Return a target as it is stored, or why it cannot be as it is described."""
    name, host = fold_name(new.name), fold_host(new.host)
    if name is None:
        return NAME_RULE
    if host is None:
        return HOST_RULE
    if not 1 <= new.port <= LAST_PORT:
        return f"A port is a number from 1 to {LAST_PORT}."
    if len(new.practices) + len(new.roles) + len(new.users) > MOST_GRANTS:
        return f"Name at most {MOST_GRANTS} practices, roles and users."
    return replace(new, name=name, host=host)


def only_by_operator(host: str) -> str:
    """Return why only the operator can add a target with this host, as a sentence; empty if members can."""
    special = why_special(host) if is_address(host) else None
    return f"{host} {special}. Only the operator on the host can add such a target." if special else ""


def why_unreachable(host: str, *, by_operator: bool, networks: Collection[Network]) -> str:
    """Return why no one can reach a target's host, as a sentence with what to do; empty if they may.

    What a name resolves to is not known before someone jumps there.
    """
    if by_operator:
        return ""
    if not networks:
        return "[forwarding] networks in twofold.toml is empty. The operator must set it."
    reason = why_not_address(host, by_operator=False, networks=networks, own=()) if is_address(host) else None
    return f"{host} {reason}. The operator must allow it there, or add the target." if reason else ""


def place_in_words(host: str, port: int) -> str:
    """Return a host and a port as OpenSSH shows them, such as `db1:22` or `[2001:db8::1]:22`."""
    shown = safe(host, _SHOWN)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def not_among(host: str, port: int, targets: Iterable[tuple[str, int]]) -> str:
    """Word that what a client asked for is not among its user's targets.

    Those that can be reached are given as names and ports, by name. No more than `LISTED` of them are named,
    those with another port than SSH's with theirs.
    """
    asked, found = place_in_words(host, port), list(targets)
    if not found:
        return f"{asked} is not among your targets: you have none that can be reached."
    named = ", ".join(name if each == SSH_PORT else f"{name}:{each}" for name, each in found[:LISTED])
    return f"{asked} is not among your targets: {named}{', ...' if len(found) > LISTED else '.'}"


def why_no_jump(
    policy: Policy, user: UserFacts, step: Step, *, restricted: bool, sign_in: str = ""
) -> str | None:
    """Return why a user may not jump in a session, with what to do first; None if they may.

    `step` is what the rules ask of the session now. `sign_in` says how they sign in to do it, where they have
    no screen for it. Only those jump who signed in with both factors. The rules call others signed in too:
    everyone in the mode `off`, and those who never set a second factor up. Of all the rest they do so only
    after a code, or from an address that is remembered because a code was given there.
    """
    if isinstance(step, Refused):
        return step.reason.value
    if policy.mode is Mode.OFF and isinstance(step, SignedIn):
        return NOT_AVAILABLE
    if isinstance(step, SignedIn) and user.enrolled and not restricted:
        return None
    return f"{_first(step, user)} first{f': {sign_in}' if sign_in else '.'}"


def _first(step: Step, user: UserFacts) -> str:
    if isinstance(step, MustChangePassword):
        return "Change your password"
    if isinstance(step, NeedCode):
        return "Enter a code"
    return "Finish signing in" if user.enrolled else "Set up two-factor authentication"


def jump_command(ssh: SshAddress | None, user: str, target: str, port: int) -> str:
    """Return the command line with which a user reaches a target, given where people sign in, if known.

    Otherwise the server is called `gate`, as in the manual.
    """
    to_port = "" if port == SSH_PORT else f"-p {port} "
    if ssh is None:
        return f"ssh {to_port}-J gate {target}"
    host = f"[{ssh.host}]" if ":" in ssh.host else ssh.host
    through = f"{user}@{host}" if ssh.port == SSH_PORT else f"{user}@{host}:{ssh.port}"
    return f"ssh {to_port}-J {through} {target}"
