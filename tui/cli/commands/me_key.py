"""`me key`: one's own SSH public keys."""

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.users import credentials
from data.rules.public_keys import KEY_LIMIT
from data.rules.safe_text import encoding_of
from data.wording import consequences
from data.wording.user_lines import key_lines
from tui.cli.caller import Caller
from tui.cli.command_groups import examples
from tui.cli.commands.me import read_profile
from tui.cli.commands.user_rendering import key_json
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.open_installation import confirmed
from tui.cli.prompts import reply, tell
from tui.cli.streams import can_ask, streams
from tui.cli.text_tables import echo_json


@click.group(
    epilog=examples(
        "ssh gate me key add - < ~/.ssh/id_ed25519.pub",
        "ssh gate me key list",
        "ssh gate me key remove SHA256:47DEQpj8HBSa... --yes",
    )
)
def key() -> None:
    """Manage your SSH public keys."""


@key.command("add", epilog=examples("ssh gate me key add - < ~/.ssh/id_ed25519.pub"))
@click.argument("source", metavar="[-]", type=click.Choice(["-"]), default="-")
@changes
@act
def add_key(here: Caller, source: str) -> Done | RefusedOrStale:  # noqa: ARG001 - there is one source.
    """Add a public key: the line of the file that ends in .pub, from standard input or typed."""
    text = _pasted()
    return here.run(credentials.add_key, text)


@key.command("list", epilog=examples("ssh gate me key list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_keys(here: Caller, as_json: bool) -> None:
    """List your public keys."""
    keys = read_profile(here).detail.keys
    if as_json:
        echo_json([key_json(row) for row in keys])
        return
    tell(key_lines(keys), hang=2)


@key.command("remove", epilog=examples("ssh gate me key remove SHA256:47DEQpj8HBSa... --yes"))
@click.argument("fingerprint")
@asks_first
@act
def remove_key(here: Caller, fingerprint: str) -> Done | RefusedOrStale:
    """Remove one of your public keys by its fingerprint."""
    preview = confirmed(here.read(credentials.preview_key_removal, fingerprint))
    confirm(consequences.remove_key(fingerprint, "you", preview.certificates))
    return here.run(credentials.remove_key, fingerprint)


def _pasted() -> str:
    """Read the key: a line that is typed, or all that comes from standard input."""
    if can_ask():
        return reply("Public key: ")
    raw = streams().stdin.read(KEY_LIMIT + 1)
    return raw.decode(encoding_of(raw), "replace")
