"""`cert`: certificates for other hosts."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import click

from data.operations.certificates import issuing
from data.rules.public_keys import KEY_LIMIT
from data.rules.safe_text import encoding_of, safe
from data.wording.words import moment
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples, for_members
from tui.cli.confirmation import act, changes
from tui.cli.member.caller import MemberCaller
from tui.cli.open_installation import confirmed, refuse
from tui.cli.prompts import reply
from tui.cli.streams import can_ask, echo, streams

F = TypeVar("F", bound=Callable[..., Any])

_bind_address = click.option(
    "--bind-address",
    "networks",
    metavar="NETWORK",
    multiple=True,
    help="Hosts accept the certificate from this address or network only, such as 192.0.2.7 or 10.0.0.0/8. "
    "Give it once for each, or several with commas. Jumps (ssh -J gate) come from the gate's address.",
)
_EXAMPLES = (
    "ssh gate cert > ~/.ssh/id_ed25519-cert.pub",
    "ssh gate cert - < ~/.ssh/id_ed25519.pub > ~/.ssh/id_ed25519-cert.pub",
    "ssh gate cert --bind-address 192.0.2.7 > ~/.ssh/id_ed25519-cert.pub",
)


@click.group(
    cls=InAccount,
    invoke_without_command=True,
    short_help="Get certificates for other hosts.",
    epilog=examples(*_EXAMPLES),
)
@_bind_address
@act
def cert(here: Caller, networks: tuple[str, ...]) -> None:
    """Print a certificate for the key that you signed in with: one line, to be stored beside the key.

    OpenSSH uses ~/.ssh/id_ed25519-cert.pub with ~/.ssh/id_ed25519 by itself, on every host that trusts the
    account's certificate authority.

    A certificate needs a code of yours, entered in this connection within the last five minutes; a temporary
    code is not enough. If one is needed, it is read from standard input.
    """
    if click.get_current_context().invoked_subcommand is None:
        _print(here, None, networks)


@for_members()
@cert.command(
    "-",
    short_help="Certify the public key on standard input.",
    epilog=examples(_EXAMPLES[1], "cat laptop.pub - | ssh gate cert - > laptop-cert.pub"),
)
@_bind_address
@changes
@act
def cert_of(here: Caller, networks: tuple[str, ...]) -> None:
    """Print a certificate for the public key that is the first line of standard input.

    If a code is needed, it is the next line.
    """
    parent = click.get_current_context().parent
    _print(here, _read_key(), (*(parent.params["networks"] if parent else ()), *networks))


def _print(here: Caller, key: str | None, networks: Iterable[str]) -> None:
    """Print a certificate as the one line of standard output, and what it says to standard error."""
    if not isinstance(here, MemberCaller):
        refuse("Certificates are for users, who get them over SSH: ssh gate cert")
    sources = tuple(part for each in networks for part in each.split(",") if part)
    made = confirmed(replace(here, reads_proof=True).run(issuing.issue_certificate, key, sources))
    echo(made.line, whole=True)
    names = ", ".join(safe(each) for each in made.principals)
    echo(f"Certificate {made.serial} for {names}, valid until {moment(made.until)}.", err=True)


def _read_key() -> str:
    """Read a line with a public key; lines that are empty or begin with # come before it."""
    if can_ask():
        return reply("Public key: ")
    stdin, left = streams().stdin, KEY_LIMIT
    while left > 0 and (raw := stdin.readline(left + 1)):
        left -= len(raw)
        line = raw.decode(encoding_of(raw), "replace").strip()
        if line and not line.startswith("#"):
            return line
    return ""
