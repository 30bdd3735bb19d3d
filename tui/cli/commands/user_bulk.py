"""One act on the users whom a command names, and the report on it."""

from collections.abc import Sequence

import click

from data.operations.users import bulk_actions
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.rules.user_fields import fold_username
from data.wording import consequences
from data.wording.certificates import are_withdrawn
from data.wording.words import counted
from tui.cli.caller import Caller
from tui.cli.confirmation import announce, confirm
from tui.cli.open_installation import confirmed, refuse
from tui.cli.streams import echo, streams
from tui.cli.text_tables import echo_table, progress

names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...")


def act_on_many(
    here: Caller, names: Sequence[str], act: Bulk, detail: str = "", *, asks: bool = False
) -> None:
    """Do one act to each of several users, print one-time passwords that were set, and report."""
    names = list(dict.fromkeys(fold_username(name) or name for name in names))
    if asks:
        confirm(consequences.act_on_many(names, act, detail, _certificates(here, names, act, detail)))
    else:
        announce_withdrawal(here, names, act, detail)
    with progress(len(names), "Progress ") as told:
        result = confirmed(
            here.wait_until_stopped(
                lambda goes_on: bulk_actions.carry_out(
                    here.store, here.actor, names, act, told, detail=detail, goes_on=goes_on
                )
            )
        )
    for name, password in result.passwords:
        echo(f"{name}  {password}")
    report(result, act.done)


def announce_withdrawal(here: Caller, names: Sequence[str], act: Bulk, detail: str = "") -> None:
    """Say how many certificates an act on these users will withdraw, if it withdraws any."""
    names = [fold_username(name) or name for name in names]
    announce(are_withdrawn(_certificates(here, names, act, detail)))


def _certificates(here: Caller, names: Sequence[str], act: Bulk, detail: str) -> int:
    return confirmed(here.read(bulk_actions.preview_act, names, act, detail)).certificates


def report(result: BulkResult, done: str) -> None:
    """Print how many users it was done for, the others and why; fail if any are left, or all are others."""
    if result.done:
        echo(f"{counted(len(result.done), 'user')} {done}.")
    stopped = result.stopped or ("The session was ended." if streams().interruption else "You stopped it.")
    if others := [*result.refused, *((name, stopped) for name in result.left)]:
        echo_table(("NOT DONE", "REASON"), others, limit=160)
    if not result.done:
        refuse("Nothing was done. The reasons are listed above.")
    if result.left:
        refuse(f"Stopped before {counted(len(result.left), 'user')}. Run the command again for them.")
