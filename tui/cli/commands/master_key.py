"""`twofold key`: rotating the master key."""

import secrets
import sys

import click

from data.operations.maintenance import master_key
from data.storage.home import Home
from data.storage.vault import KEY_BYTES, Ring, check_value_of
from data.wording.words import Question
from tui.cli.confirmation import asks_first, confirm
from tui.cli.open_installation import Installation, confirmed, installation, refuse
from tui.cli.streams import echo


@click.group(
    short_help="Rotate the master key that seals all secrets.",
    epilog="\b\nExample:\n  twofold key rotate\n",
)
def key() -> None:
    """Rotate the master key that seals all secrets in the database, and remove old keys."""


@key.command(
    short_help="Create a new master key and reseal everything with it.",
    epilog="\b\nExamples:\n"
    "  twofold key rotate\n"
    "\n"
    "\b\nWith several nodes:\n"
    "  twofold key rotate --prepare      on one node; then copy its master.key to all others\n"
    "  twofold key rotate                on the same node; then on each of the others\n",
)
@click.option(
    "--prepare", is_flag=True, help="Only create the new key, so that you can copy it to the other nodes."
)
@asks_first
@click.pass_obj
def rotate(home: Home, prepare: bool) -> None:
    """Create a new master key and reseal everything with it, while servers keep running.

    Both keys work until everything is resealed. If this is interrupted, run it again: it continues where
    it stopped. Earlier backups need the old master key, which is kept next to the new one.
    """
    home.check()
    with home.rotating(), installation(home) as here:
        ring = home.read_ring()
        if prepare and len(ring) > 1:
            refuse(f"{home.master_key} already holds a new key. Continue with: {home.command('key rotate')}")
        confirm(_question(prepare=prepare, begun=len(ring) > 1))
        if len(ring) == 1:
            ring = (*ring, secrets.token_bytes(KEY_BYTES))
            home.write_ring(ring)
            echo(f"Added a new key to {home.master_key}, next to the old one. Back up that file.")
        if prepare:
            echo("Copy it to every other node, then continue with: " + home.command("key rotate"))
            return
        _rotate(here, ring)
        kept = home.keep_key(ring[0])
        home.write_ring(ring[1:])
        check = check_value_of(ring[0])
        echo(f"{home.master_key} now holds only the new key.")
        echo(f"The old key is kept in {kept}. Earlier backups need it; its check value is {check}.")
        echo(f"When you no longer need those backups: {home.command(f'key forget {check}')}")


@key.command(epilog="\b\nExample:\n  twofold key forget 0123456789abcdef0123456789abcdef\n")
@click.argument("check")
@asks_first
@click.pass_obj
def forget(home: Home, check: str) -> None:
    """Remove an old master key that a rotation kept, by its check value."""
    home.check()
    kept = home.kept_keys()
    if check not in kept:
        there = f"Kept keys: {', '.join(kept)}." if kept else "No old key is kept."
        refuse(f"No old master key has that check value. {there}")
    confirm(
        Question(
            "Remove it?",
            f"Backups that need the key in {kept[check]} cannot be restored without a copy of it.",
            "Remove",
        )
    )
    kept[check].unlink()
    echo(f"Removed {kept[check]}.")


def _question(*, prepare: bool, begun: bool) -> Question:
    which = "the" if begun else "a"
    body = (
        "A new master key will be created next to the current one, for you to copy to the other nodes."
        if prepare
        else f"Everything will be resealed with {which} new master key."
    )
    kept = "Earlier backups need the old key, which is kept next to the new one until you remove it."
    return Question("Continue?", f"{body} {kept}", "Rotate")


def _rotate(here: Installation, ring: Ring) -> None:
    """Reseal everything with the newest key, continuing an interrupted rotation where it stopped."""
    former, new = (check_value_of(each) for each in ring)
    run = here.store.run_now
    confirmed(run(master_key.begin_rotation, here.actor, former, new))
    total = confirmed(run(master_key.count_sealed, here.actor))
    done, after = 0, 0
    with click.progressbar(
        length=total, label="Resealing", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while True:
            batch = confirmed(run(master_key.reseal_batch, here.actor, after))
            bar.update(batch.seen)
            done, after = done + batch.count, batch.after
            if not batch.seen:
                break
    echo(confirmed(run(master_key.finish_rotation, here.actor, done)).message)
