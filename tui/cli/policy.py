"""`twofold policy`: the account's two-factor policy."""

import click

from data.operations import account
from data.operations.account import ModePreview
from data.rules.facts import Mode
from data.rules.text import safe
from data.storage.home import Home
from tui.cli.installation import confirmed, installation, on_a_terminal, refuse, say
from tui.cli.tables import echo_json


@click.group(
    epilog="\b\nExamples:\n  twofold policy show --json\n  twofold policy set --mode required --yes\n"
)
def policy() -> None:
    """Show and change the account's policy."""


@policy.command(epilog="\b\nExample:\n  twofold policy show --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, as_json: bool) -> None:
    """Show the mode, and how many people stand where."""
    with installation(home) as here:
        view = confirmed(here.store.run_now(account.show_policy, here.operator))
    if as_json:
        echo_json(
            {
                "account": view.account,
                "mode": view.policy.mode.value,
                "people": {status.value: count for status, count in sorted(view.people.items())},
            }
        )
        return
    click.echo(f"Account  {safe(view.account)}")
    click.echo(f"Mode     {view.policy.mode.value}")
    for status, count in sorted(view.people.items()):
        click.echo(f"{count:7}  {status.value}")


@policy.command(
    "set",
    epilog="\b\nExamples:\n  twofold policy set --mode required\n  twofold policy set --mode off --yes\n",
)
@click.option(
    "--mode",
    "wanted",
    type=click.Choice([Mode.OFF.value, Mode.OPTIONAL.value, Mode.REQUIRED.value]),
    required=True,
    help="Who must use two-factor authentication.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def set_mode(home: Home, wanted: str, yes: bool) -> None:
    """Change the mode, after showing whom that affects."""
    mode = Mode(wanted)
    with installation(home) as here:
        preview = confirmed(here.store.run_now(account.preview_mode, here.operator, mode))
        if preview.refusal:
            refuse(preview.refusal)
        if not yes:
            _ask(preview)
        say(here.store.run_now(account.set_mode, here.operator, mode, seen=preview.before))


def _ask(preview: ModePreview) -> None:
    if not on_a_terminal():
        raise click.UsageError("There is no terminal to ask on. Add --yes to confirm.")
    click.echo(f"From {preview.before.value} to {preview.after.value}:", err=True)
    click.echo(f"{preview.ready:7}  sign in with a code", err=True)
    more = ", ..." if preview.pending > len(preview.pending_names) else ""
    named = f" ({', '.join(preview.pending_names)}{more})" if preview.pending_names else ""
    click.echo(f"{preview.pending:7}  must set it up at their next sign-in{named}", err=True)
    click.echo(f"{preview.not_asked:7}  sign in without", err=True)
    click.confirm("Change the mode?", abort=True, err=True)
