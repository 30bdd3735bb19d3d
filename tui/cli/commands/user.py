"""`twofold user`: people, as the operator manages them."""

import click

from tui.cli.groups import LazyInAccount, examples

_COMMANDS = {
    "activate": "tui.cli.user_acts:activate",
    "add": "tui.cli.user_acts:add",
    "clear-2fa": "tui.cli.user_acts:clear_two_factor",
    "deactivate": "tui.cli.user_acts:deactivate",
    "delete": "tui.cli.user_acts:delete",
    "disable-2fa": "tui.cli.user_acts:disable_two_factor",
    "edit": "tui.cli.user_acts:edit",
    "explain": "tui.cli.user_reports:explain",
    "export": "tui.cli.user_reports:export",
    "forget": "tui.cli.user_acts:forget",
    "import": "tui.cli.commands.user_import:import_people",
    "invite": "tui.cli.commands.user_invite:invite",
    "key": "tui.cli.commands.user_key:key",
    "list": "tui.cli.user_list:list_users",
    "move": "tui.cli.user_acts:move",
    "password": "tui.cli.user_acts:password",
    "remind": "tui.cli.commands.user_invite:remind",
    "require": "tui.cli.user_acts:require",
    "resync": "tui.cli.user_acts:resync",
    "role": "tui.cli.user_acts:role",
    "show": "tui.cli.user_list:show",
    "unlock": "tui.cli.user_acts:unlock",
}


@click.group(
    cls=LazyInAccount,
    places=_COMMANDS,
    epilog=examples(
        "twofold user add ben --email ben@clinic.example --key-file ben.pub --require-2fa",
        "twofold user list --status Locked",
        "twofold user unlock ben",
    ),
)
def user() -> None:
    """Manage people."""
