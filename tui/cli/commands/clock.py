"""`twofold clock`: finding and helping users who are affected by a clock jump."""

import click

from data.operations.maintenance import clock_jumps as operations
from data.operations.maintenance.clock_jumps import AheadAccount, StuckUser
from data.rules.safe_text import safe
from data.storage.home import Home
from data.wording.words import Question
from tui.cli.command_groups import InAccount
from tui.cli.confirmation import asks_first, confirm
from tui.cli.open_installation import confirmed, installation, say, system_clock
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, iso, when

_SHOWN = 20


@click.group(
    short_help="Help users who are locked out by a clock jump.",
    cls=InAccount,
    epilog="\b\nExamples:\n  twofold clock show\n  twofold clock repair\n  twofold clock repair --yes\n",
)
def clock() -> None:
    """Show users who are locked out by a clock jump, and let them sign in again.

    Each code works once, and after it only later codes work. Users who signed in while the clock here
    was ahead must wait until that time comes.
    """


@clock.command(epilog="\b\nExamples:\n  twofold clock show\n  twofold clock show --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(home: Home, as_json: bool) -> None:
    """Show the clock, the latest time on record, and the affected users."""
    with installation(home) as here:
        stuck = confirmed(here.run(operations.list_stuck))
        ahead = confirmed(here.run(operations.list_ahead))
        newest = here.store.run_now(operations.newest_entry)
    if as_json:
        echo_json(
            {
                "now": iso(system_clock()),
                "newest_entry": iso(newest),
                "stuck": [
                    {"account": user.account, "name": user.name, "until": iso(user.until)} for user in stuck
                ],
                "ahead": [{"account": one.account, "until": iso(one.until)} for one in ahead],
            }
        )
        return
    echo(f"Clock             {when(system_clock())}")
    echo(f"Latest on record  {when(newest)}")
    _show(stuck, ahead)
    if stuck or ahead:
        echo(f"Once the clock is right, run: {home.command('clock repair')}")


@clock.command(
    short_help="Let affected users sign in again.",
    epilog="\b\nExamples:\n  twofold clock repair\n  twofold clock repair --yes\n",
)
@asks_first
@click.pass_obj
def repair(home: Home) -> None:
    """Let affected users sign in again.

    Do this only when the clock is right. The next code on their phones is still refused; the one after it
    works. Codes that were accepted while the clock was ahead stay used. Deadlines and days of grace are
    judged by the clock again, and not at the later time that was seen.
    """
    with installation(home) as here:
        stuck = confirmed(here.run(operations.list_stuck))
        ahead = confirmed(here.run(operations.list_ahead))
        _show(stuck, ahead)
        if not stuck and not ahead:
            return
        now = when(system_clock())
        confirm(
            Question(
                "Is that right?",
                f"The clock says {now}. If that is right, affected users can sign in again, and deadlines "
                "are judged by it.",
                "Repair",
            )
        )
        say(here.run(operations.bring_back))


def _show(stuck: tuple[StuckUser, ...], ahead: tuple[AheadAccount, ...]) -> None:
    for one in ahead:
        echo(safe(f"{one.account}: deadlines and days of grace are judged at {when(one.until)} until then."))
    if not stuck and ahead:
        return
    if not stuck:
        echo("No users are affected by a clock jump.")
        return
    echo_table(
        ("USER", "ACCOUNT", "CODES REFUSED UNTIL"),
        [(user.name, user.account, when(user.until)) for user in stuck[:_SHOWN]],
    )
    if len(stuck) > _SHOWN:
        echo(safe(f"and {len(stuck) - _SHOWN} more"))
