"""`twofold user key`: a user's SSH public keys."""

from pathlib import Path

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.users import credentials, user_summaries
from data.rules import public_keys
from data.rules.public_keys import PublicKey
from data.rules.safe_text import encoding_of
from data.storage.files import open_plain
from data.wording.certificates import are_withdrawn
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.commands.user_rendering import key_json
from tui.cli.confirmation import act, announce, changes
from tui.cli.open_installation import confirmed, refuse
from tui.cli.path_arguments import PathType
from tui.cli.streams import streams
from tui.cli.text_tables import echo_json, echo_table, when

KEY_FILE = PathType(dir_okay=False, exists=True, readable=True, allow_dash=True)
_KEY_FILE_LIMIT = 65_536


@click.group(
    cls=InAccount, epilog="\b\nExamples:\n  twofold user key add ben ben.pub\n  twofold user key list ben\n"
)
def key() -> None:
    """Manage a user's SSH public keys."""


@for_members()
@key.command("add", epilog="\b\nExample:\n  twofold user key add ben ~/.ssh/id_ed25519.pub\n")
@click.argument("name")
@click.argument("key_file", type=KEY_FILE)
@changes
@act
def add_key(here: Caller, name: str, key_file: Path) -> Done | RefusedOrStale:
    """Add a public key from a file (- for standard input)."""
    text = key_text(key_file)
    return here.run(credentials.add_key, text, name=name)


@for_members()
@key.command("list", epilog="\b\nExample:\n  twofold user key list ben --json\n")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_keys(here: Caller, name: str, as_json: bool) -> None:
    """List a user's public keys."""
    keys = confirmed(here.read(user_summaries.user_detail, name)).keys
    if as_json:
        echo_json([key_json(row) for row in keys])
        return
    echo_table(
        ("FINGERPRINT", "TYPE", "ADDED", "LAST USED", "COMMENT"),
        [
            (row.fingerprint, row.algorithm, when(row.added_at), when(row.last_used_at), row.comment or "-")
            for row in keys
        ],
    )


@for_members()
@key.command("remove", epilog="\b\nExample:\n  twofold user key remove ben SHA256:47DEQpj8HBSa...\n")
@click.argument("name")
@click.argument("fingerprint")
@changes
@act
def remove_key(here: Caller, name: str, fingerprint: str) -> Done | RefusedOrStale:
    """Remove a public key by its fingerprint."""
    preview = confirmed(here.read(credentials.preview_key_removal, fingerprint, name=name))
    announce(are_withdrawn(preview.certificates))
    return here.run(credentials.remove_key, fingerprint, name=name)


def key_text(path: Path) -> str:
    """Read a key file in UTF-8, or UTF-16 with a byte order mark; cut off what is too long for a key."""
    if str(path) == "-":
        raw = streams().stdin.read(_KEY_FILE_LIMIT)
    else:
        with open_plain(path) as file:
            raw = file.read(_KEY_FILE_LIMIT)
    return raw.decode(encoding_of(raw), "replace")


def parsed_key(text: str) -> PublicKey:
    """Return a parsed public key, or end the command with what is wrong with it."""
    parsed = public_keys.parse(text)
    if not isinstance(parsed, PublicKey):
        refuse(parsed.value)
    return parsed
