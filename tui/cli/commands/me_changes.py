"""`me password`, `edit`, `theme`, `plain-mode` and `forget`."""

import click

from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.signin import remembered_addresses
from data.operations.users import credentials, lifecycle
from data.rules.domain_types import ThemeChoice
from data.rules.policy import MustChangePassword
from data.wording.certificates import are_withdrawn
from data.wording.enrolment import PASSWORDS_DIFFER
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.commands.me import read_profile
from tui.cli.confirmation import act, announce, changes
from tui.cli.member.own_session import go_on
from tui.cli.open_installation import confirmed, read_password_line, refuse, say
from tui.cli.prompts import reply, tell
from tui.cli.streams import can_ask

_Result = Done | RefusedOrStale


@for_members(restricted=(MustChangePassword,))
@click.command(
    short_help="Change your password, or replace a one-time password.",
    epilog=examples("ssh -t gate me password", "pass show gate | ssh gate me password"),
)
@changes
@act
def password(here: Caller) -> None:
    """Change your password, or replace a one-time password.

    At a terminal it is asked for twice and not shown; otherwise it is the first line of standard input.
    """
    context = confirmed(here.run(credentials.password_context))
    announce(are_withdrawn(context.certificates))
    if can_ask():
        _ask_until_taken(here)
    else:
        say(_change(here, read_password_line()))
    go_on(here)


def _ask_until_taken(here: Caller) -> None:
    while True:
        chosen = reply("New password: ", hidden=True)
        if reply("Repeat password: ", hidden=True) != chosen:
            tell(PASSWORDS_DIFFER, err=True)
            continue
        result = _change(here, chosen)
        if not isinstance(result, Denied):
            say(result)
            return
        tell(result.message, err=True)


def _change(here: Caller, chosen: str) -> _Result:
    return here.finish(credentials.change_password, here.store, here.actor, chosen)


@click.command(
    short_help="Change your name, e-mail address or phone number.",
    epilog=examples(
        "ssh gate 'me edit --name \"Anna Berg\"'",
        "ssh -t gate me edit --email anna@clinic.example",
        "ssh -t gate 'me edit --phone \"\"'",
    ),
)
@click.option("--email", help="The new e-mail address.")
@click.option("--name", "full_name", help="The new full name.")
@click.option("--phone", help="The new phone number, with + and the country code; empty removes it.")
@changes
@act
def edit(here: Caller, email: str | None, full_name: str | None, phone: str | None) -> _Result:
    """Change your full name, e-mail address or phone number.

    Codes that went to the old address or number are withdrawn.
    """
    changed = lifecycle.UserChanges(email=email, full_name=full_name, phone=phone)
    if not changed.given():
        raise click.UsageError("Nothing to change. Give --email, --name or --phone.")
    return here.run(lifecycle.edit_own, changed)


@click.command(
    short_help="Choose the colours of the app.", epilog=examples("ssh gate me theme high-contrast")
)
@click.argument("choice", metavar="THEME", type=click.Choice([theme.value for theme in ThemeChoice]))
@changes
@act
def theme(here: Caller, choice: str) -> _Result:
    """Choose the colours of the app: terminal (as it is), dark, light or high-contrast."""
    return here.run(lifecycle.choose_theme, ThemeChoice(choice))


@click.command(
    "plain-mode",
    short_help="Choose a prompt instead of the app.",
    epilog=examples("ssh gate me plain-mode on"),
)
@click.argument("choice", metavar="on|off", type=click.Choice(["on", "off"]))
@changes
@act
def plain_mode(here: Caller, choice: str) -> _Result:
    """Choose whether your next sessions begin with a prompt and text that stays, instead of the app."""
    return here.run(lifecycle.choose_plain_mode, on=choice == "on")


@click.command(
    short_help="Forget remembered addresses.",
    epilog=examples("ssh gate me forget", "ssh -p 2222 gate me forget 192.0.2.1"),
)
@click.argument("address", required=False)
@changes
@act
def forget(here: Caller, address: str | None) -> _Result:
    """Forget an address, or all of them, so that a code is asked for there again."""
    if address is None:
        return here.run(remembered_addresses.forget_my_addresses)
    found = [row.id for row in read_profile(here).detail.remembered if row.address == address]
    if not found:
        refuse("That address is not remembered.")
    for row in found[:-1]:
        confirmed(here.run(remembered_addresses.forget_my_addresses, row))
    return here.run(remembered_addresses.forget_my_addresses, found[-1])
