"""`twofold ca`: the authority that signs the certificates of an account, for the operator on the host."""

import os
import tempfile
from pathlib import Path

import click

from data.operations.certificates import authorities
from data.operations.certificates.authorities import AuthoritiesView, AuthorityRow
from data.operations.certificates.revocation_list import show_revocation_list
from data.operations.policy import policy_settings
from data.rules.safe_text import safe
from data.wording import certificate_authority as wording
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.open_installation import confirmed, refuse
from tui.cli.path_arguments import PathType
from tui.cli.streams import echo, streams
from tui.cli.text_tables import echo_json, iso

_READABLE = 0o644
"""What a host's sshd reads is no secret."""


@click.group(
    short_help="Manage the authority that signs certificates.",
    cls=InAccount,
    epilog=examples("twofold ca init", "twofold ca show", "twofold ca krl --output /srv/krl/clinic.krl"),
)
def ca() -> None:
    """Manage the authority that signs the user certificates of an account.

    Hosts that trust it accept the certificates that people get with `ssh gate cert`. Its key is sealed under
    the master key in the database, and is not the host key.
    """


@ca.command(short_help="Make the authority of the account.", epilog=examples("twofold ca init"))
@changes
@act
def init(here: Caller) -> None:
    """Make the authority of the account, and show what hosts need."""
    view = confirmed(here.run(authorities.init_authority))
    echo(f"Certificate authority of {safe(view.account)} made: {view.present.fingerprint}", err=True)
    if not confirmed(here.read(policy_settings.show_policy)).certificate_hours:
        hint = here.command("policy set --certificate-hours 8")
        echo(f"No certificates are issued yet. To have them issued: {hint}", err=True)
    _echo(view)


@ca.command(
    short_help="Show the public key and the lines for hosts.",
    epilog=examples(
        "twofold ca show", "twofold ca show | grep ^ssh- > twofold_ca.pub", "twofold ca show --json"
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, as_json: bool) -> None:
    """Show the authority's public key, and the lines of sshd_config for a host that trusts it.

    A former authority is shown until its last certificate has ended.
    """
    view = confirmed(here.read(authorities.show_authorities))
    if as_json:
        former = [_as_json(row) for row in view.former]
        echo_json({"account": view.account, **_as_json(view.present), "former": former})
        return
    _echo(view)


@ca.command(
    short_help="Replace the authority by a new one.",
    epilog=examples("twofold ca rotate", "twofold ca rotate --yes"),
)
@asks_first
@act
def rotate(here: Caller) -> None:
    """Replace the authority by a new one, which signs all certificates from now on.

    Certificates of the former one stay valid until they end; until then, `ca show` lists both.
    """
    present = confirmed(here.read(authorities.show_authorities))
    confirm(wording.rotate_authority(present))
    view = confirmed(here.run(authorities.rotate_authority, present.present.fingerprint))
    echo(f"Certificate authority of {safe(view.account)} rotated: {view.present.fingerprint}", err=True)
    _echo(view)


@ca.command(
    short_help="Write the key revocation list for hosts.",
    epilog=examples(
        "twofold ca krl --output /srv/krl/clinic.krl",
        "twofold ca krl --output new.krl && scp new.krl root@web1:/etc/ssh/ && "
        "ssh root@web1 mv /etc/ssh/new.krl /etc/ssh/twofold.krl",
    ),
)
@click.option(
    "--output",
    type=PathType(dir_okay=False),
    help="Replace this file at once instead of writing to standard output.",
)
@act
def krl(here: Caller, output: Path | None) -> None:
    """Write the list of withdrawn certificates in OpenSSH's format, which sshd reads as RevokedKeys.

    sshd refuses every key while that file is missing or damaged, so only replace it as a whole.
    """
    if output is None and streams().size is not None:
        refuse("The list is binary and was not written to the terminal. Redirect it, or use --output FILE.")
    content = confirmed(here.read(show_revocation_list))
    if output is None:
        there = streams().stdout
        there.flush()
        there.buffer.write(content)
        there.buffer.flush()
    else:
        _replace(output, content)


def _replace(file: Path, content: bytes) -> None:
    """Write a file anew beside the present one, and put it in its place: readers see one or the other."""
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as written:
                written.write(content)
                written.flush()
                os.fsync(written.fileno())
                os.fchmod(written.fileno(), _READABLE)
            Path(draft).replace(file)
        except BaseException:
            Path(draft).unlink()
            raise
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror}.")


def _echo(view: AuthoritiesView) -> None:
    for line in wording.authority_lines(view):
        echo(safe(line, 1_000))


def _as_json(row: AuthorityRow) -> dict[str, object]:
    return {
        "public_key": row.public_key,
        "fingerprint": row.fingerprint,
        "created_at": iso(row.created_at),
        "rotated_at": iso(row.retired_at),
        "live_certificates": row.live,
        "last_until": iso(row.last_until),
    }
