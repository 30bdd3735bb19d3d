"""`twofold user`: people, as the operator manages them."""

import click

from tui.cli.groups import LazyInAccount, Places, examples

COMMANDS: Places = {
    "activate": ("tui.cli.user_acts:activate", "Let a deactivated user sign in again."),
    "add": ("tui.cli.user_acts:add", "Create a user."),
    "clear-2fa": ("tui.cli.user_acts:clear_two_factor", "Remove what a user has set up, and keep the flag."),
    "deactivate": ("tui.cli.user_acts:deactivate", "Shut a user out, and keep everything about them."),
    "delete": (
        "tui.cli.user_acts:delete",
        "Delete a user and all that is known of them; the audit log keeps the name.",
    ),
    "disable-2fa": (
        "tui.cli.user_acts:disable_two_factor",
        "Remove a user's flag and what they have set up.",
    ),
    "edit": ("tui.cli.user_acts:edit", "Change a user's e-mail address, full name or phone number."),
    "explain": (
        "tui.cli.user_reports:explain",
        "Say whether a user can sign in now, and why; then the facts behind it, deliveries among them.",
    ),
    "export": ("tui.cli.user_reports:export", "Write all users as CSV or JSON Lines."),
    "forget": ("tui.cli.user_acts:forget", "Forget a user's remembered addresses."),
    "import": (
        "tui.cli.commands.user_import:import_people",
        "Create users from a CSV file: all of them, or none.",
    ),
    "invite": (
        "tui.cli.commands.user_invite:invite",
        "Send people a one-time password by e-mail, or write it to a file.",
    ),
    "key": ("tui.cli.commands.user_key:key", "Manage a user's SSH public keys."),
    "list": ("tui.cli.user_list:list_users", "List the users."),
    "move": ("tui.cli.user_acts:move", "Move a user to another practice of the account."),
    "password": ("tui.cli.user_acts:password", "Set a new one-time password."),
    "remind": ("tui.cli.commands.user_invite:remind", "Remind people by e-mail to set 2FA up."),
    "require": ("tui.cli.user_acts:require", "Require two-factor authentication of a user."),
    "resync": ("tui.cli.user_acts:resync", "Let two codes bring back a phone whose clock is off."),
    "role": ("tui.cli.user_acts:role", "Grant and take roles; the last administrators are kept."),
    "show": ("tui.cli.user_list:show", "Show all about one user."),
    "unlock": ("tui.cli.user_acts:unlock", "Let a locked user sign in again."),
}


@click.group(
    cls=LazyInAccount,
    places=COMMANDS,
    epilog=examples(
        "twofold user add ben --email ben@clinic.example --key-file ben.pub --require-2fa",
        "twofold user list --status Locked",
        "twofold user unlock ben",
    ),
)
def user() -> None:
    """Manage people."""
