"""`twofold clock`: what a clock that was wrong has done, and putting it right."""

import click

from data.operations.maintenance import clock_jumps as operations
from data.operations.maintenance.clock_jumps import StuckUser
from data.rules.safe_text import safe
from data.storage.home import Home
from data.wording.words import Question
from tui.cli.command_groups import InAccount
from tui.cli.confirmation import asks_first, confirm
from tui.cli.open_installation import confirmed, installation, say, system_clock
from tui.cli.text_tables import echo_json, echo_table, iso, when

_SHOWN = 20


@click.group(
    short_help="See and help who is stuck since the clock was wrong.",
    cls=InAccount,
    epilog="\b\nExamples:\n  twofold clock show\n  twofold clock repair\n  twofold clock repair --yes\n",
)
def clock() -> None:
    """See who is stuck since the clock was wrong, and bring them back.

    A code is good once, and after it only codes of later times are. Who signed in while the clock
    here was ahead has to wait until that time comes.
    """


@clock.command(epilog="\b\nExamples:\n  twofold clock show\n  twofold clock show --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, as_json: bool) -> None:
    """Show the clock, the latest time on record, and who is stuck."""
    with installation(home) as here:
        stuck = confirmed(here.run(operations.list_stuck))
        newest = here.store.run_now(operations.newest_entry)
    if as_json:
        echo_json(
            {
                "now": iso(system_clock()),
                "newest_entry": iso(newest),
                "stuck": [
                    {"account": user.account, "name": user.name, "until": iso(user.until)} for user in stuck
                ],
            }
        )
        return
    click.echo(f"clock here       {when(system_clock())}")
    click.echo(f"newest on record {when(newest)}")
    _show(stuck)
    if stuck:
        click.echo(f"Once the clock is right, bring them back with: {home.command('clock repair')}")


@clock.command(
    short_help="Let those who are stuck sign in again.",
    epilog="\b\nExamples:\n  twofold clock repair\n  twofold clock repair --yes\n",
)
@asks_first
@click.pass_obj
def repair(home: Home) -> None:
    """Let those who are stuck sign in again, from the second next code of their phones on.

    Only once the clock is right. Codes that were accepted while it was ahead stay spent.
    """
    with installation(home) as here:
        stuck = confirmed(here.run(operations.list_stuck))
        _show(stuck)
        if not stuck:
            return
        now = when(system_clock())
        confirm(
            Question("Is that right?", f"It is {now}. They can sign in again once that is right.", "Repair")
        )
        say(here.run(operations.bring_back))


def _show(stuck: tuple[StuckUser, ...]) -> None:
    if not stuck:
        click.echo("Nobody is stuck behind a time step of the future.")
        return
    echo_table(
        ("USER", "ACCOUNT", "CODES ARE REFUSED UNTIL"),
        [(user.name, user.account, when(user.until)) for user in stuck[:_SHOWN]],
    )
    if len(stuck) > _SHOWN:
        click.echo(safe(f"and {len(stuck) - _SHOWN} more"))
