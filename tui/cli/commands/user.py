"""`twofold user`: managing users."""

import click

from tui.cli.command_groups import LazyInAccount, examples

_COMMANDS = {
    "activate": "tui.cli.commands.user_changes:activate",
    "add": "tui.cli.commands.user_changes:add",
    "clear-2fa": "tui.cli.commands.user_changes:clear_two_factor",
    "deactivate": "tui.cli.commands.user_changes:deactivate",
    "delete": "tui.cli.commands.user_changes:delete",
    "disable-2fa": "tui.cli.commands.user_changes:disable_two_factor",
    "edit": "tui.cli.commands.user_changes:edit",
    "explain": "tui.cli.commands.user_reports:explain",
    "export": "tui.cli.commands.user_reports:export",
    "forget": "tui.cli.commands.user_changes:forget",
    "import": "tui.cli.commands.user_import:import_people",
    "invite": "tui.cli.commands.user_invite:invite",
    "key": "tui.cli.commands.user_key:key",
    "list": "tui.cli.commands.user_list:list_users",
    "move": "tui.cli.commands.user_changes:move",
    "password": "tui.cli.commands.user_changes:password",
    "principal": "tui.cli.commands.principal:of_user",
    "remind": "tui.cli.commands.user_invite:remind",
    "require": "tui.cli.commands.user_changes:require",
    "resync": "tui.cli.commands.user_changes:resync",
    "role": "tui.cli.commands.user_changes:role",
    "show": "tui.cli.commands.user_list:show",
    "temporary-code": "tui.cli.commands.user_changes:temporary_code",
    "unlock": "tui.cli.commands.user_changes:unlock",
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
    """Manage users."""
