"""`twofold key`: rotating the master key."""

import secrets
import sys

import click

from data.operations.upkeep import master_key
from data.storage.home import Home
from data.storage.vault import KEY_BYTES, Ring, check_value_of
from tui.cli.consent import asks_first, confirm
from tui.cli.installation import Installation, confirmed, installation, refuse
from tui.dialogs.question import Question


@click.group(
    short_help="Rotate the master key, which secrets are sealed under.",
    epilog="\b\nExample:\n  twofold key rotate\n",
)
def key() -> None:
    """Rotate the master key, which all secrets in the database are sealed under."""


@key.command(
    short_help="Make a new master key and seal everything anew under it.",
    epilog="\b\nExamples:\n"
    "  twofold key rotate\n"
    "\n"
    "\b\nWith several nodes:\n"
    "  twofold key rotate --prepare      on one of them; then copy its master.key to all others\n"
    "  twofold key rotate                on the same one; then on each other\n",
)
@click.option("--prepare", is_flag=True, help="Only make the new key, to be copied to the other nodes first.")
@asks_first
@click.pass_obj
def rotate(home: Home, prepare: bool) -> None:
    """Make a new master key and seal everything anew under it, while servers go on.

    Both keys are good until all is done. When it is stopped or killed, run it again: it goes on where it
    was. Backups from before need the master key from before: keep it with them.
    """
    home.check()
    with home.rotating(), installation(home) as here:
        ring = home.read_ring()
        if prepare and len(ring) > 1:
            refuse(f"{home.master_key} holds a new key already. Go on with: {home.command('key rotate')}")
        confirm(_question(prepare=prepare, begun=len(ring) > 1))
        if len(ring) == 1:
            ring = (*ring, secrets.token_bytes(KEY_BYTES))
            home.write_ring(ring)
            click.echo(f"A new key is in {home.master_key}, beside the old one. Back that file up.")
        if prepare:
            click.echo("Copy it to every other node, then go on with: " + home.command("key rotate"))
            return
        _rotate(here, ring)
        home.write_ring(ring[1:])
        click.echo(f"{home.master_key} holds the new key alone.")


def _question(*, prepare: bool, begun: bool) -> Question:
    which = "the" if begun else "a"
    body = (
        "A new master key is made beside the present one, to be copied to the other nodes."
        if prepare
        else f"Everything is sealed under {which} new master key, and the old one is given up."
    )
    return Question("Go on?", f"{body} Backups from before can be restored with the old key only.", "Rotate")


def _rotate(here: Installation, ring: Ring) -> None:
    """Have all be sealed under the newest key, from wherever a rotation before this one has come to."""
    former, new = (check_value_of(each) for each in ring)
    run = here.store.run_now
    confirmed(run(master_key.begin_rotation, here.operator, former, new))
    total = confirmed(run(master_key.count_sealed, here.operator))
    done, after = 0, 0
    with click.progressbar(
        length=total, label="Sealing anew", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while True:
            batch = confirmed(run(master_key.reseal_batch, here.operator, after))
            bar.update(batch.seen)
            done, after = done + batch.count, batch.after
            if not batch.seen:
                break
    click.echo(confirmed(run(master_key.finish_rotation, here.operator, done)).message)
