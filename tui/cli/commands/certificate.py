"""`cert`: certificates for other hosts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import click

from data.operations.certificates import issuing, listing
from data.operations.certificates.listing import CertificateRow
from data.operations.results import Done, RefusedOrStale
from data.rules.public_keys import KEY_LIMIT
from data.rules.safe_text import encoding_of, safe
from data.wording import certificates as wording
from data.wording.words import moment
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples, for_members
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.member.caller import MemberCaller
from tui.cli.open_installation import confirmed, refuse
from tui.cli.prompts import reply
from tui.cli.streams import can_ask, echo, streams
from tui.cli.text_tables import echo_json_list, echo_table, iso, when

F = TypeVar("F", bound=Callable[..., Any])
_PAGE = 500

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
@click.pass_context
def cert(context: click.Context, networks: tuple[str, ...]) -> None:
    """Print a certificate for the key that you signed in with: one line, to be stored beside the key.

    OpenSSH uses ~/.ssh/id_ed25519-cert.pub with ~/.ssh/id_ed25519 by itself, on every host that trusts the
    account's certificate authority.

    A certificate needs a code of yours, entered in this connection within the last five minutes; a temporary
    code is not enough. If one is needed, it is read from standard input.
    """
    if context.invoked_subcommand is None:
        _print_own(networks)


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


@for_members()
@cert.command(
    "list",
    short_help="List certificates.",
    epilog=examples("twofold cert list", "twofold cert list --user ben --all", "twofold cert list --json"),
)
@click.option("--user", metavar="NAME", help="Only those of this user.")
@click.option("--all", "ended", is_flag=True, help="Also those that were withdrawn, or ended within a week.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_certificates(here: Caller, user: str | None, ended: bool, as_json: bool) -> None:
    """List the certificates that hosts accept: your own, or for administrators those of the account."""
    rows = _all_rows(here, user, ended=ended)
    if as_json:
        echo_json_list(map(certificate_json, rows))
        return
    echo_table(
        ("SERIAL", "USER", "PRINCIPALS", "UNTIL", "STATE", "KEY"),
        (
            (
                str(row.serial),
                row.user,
                ", ".join(row.principals),
                when(row.until),
                row.state.value,
                row.fingerprint,
            )
            for row in rows
        ),
    )


@for_members()
@cert.command(
    short_help="Withdraw a certificate before it ends.",
    epilog=examples("twofold cert withdraw 4242", "twofold cert withdraw 4242 --yes"),
)
@click.argument("serial", type=click.IntRange(min=1, max=2**63 - 1))
@asks_first
@act
def withdraw(here: Caller, serial: int) -> Done | RefusedOrStale:
    """Withdraw a certificate: your own, or as a system administrator any of the account.

    A host accepts it until it has fetched the list of withdrawn certificates again.
    """
    confirm(wording.withdraw_certificate(serial))
    return here.run(listing.withdraw_certificate, serial)


def _all_rows(here: Caller, user: str | None, *, ended: bool) -> Iterator[CertificateRow]:
    before: CertificateRow | None = None
    while True:
        page = confirmed(
            here.read(listing.list_certificates, user=user, ended=ended, before=before, limit=_PAGE)
        )
        yield from page.rows
        if not page.more:
            return
        before = page.rows[-1]


def certificate_json(row: CertificateRow) -> dict[str, object]:
    """Return a certificate for JSON; the serial is a text, because it exceeds what JavaScript counts to."""
    return {
        "serial": str(row.serial),
        "user": row.user,
        "key_id": row.key_id,
        "fingerprint": row.fingerprint,
        "principals": list(row.principals),
        "source_addresses": list(row.source_addresses),
        "issued_at": iso(row.issued_at),
        "until": iso(row.until),
        "state": row.state.value,
        "withdrawn_at": iso(row.withdrawn_at),
        "withdrawn_because": row.withdrawn_because,
    }


@act
def _print_own(here: Caller, networks: tuple[str, ...]) -> None:
    """Print a certificate for the key that was proven."""
    _print(here, None, networks)


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
