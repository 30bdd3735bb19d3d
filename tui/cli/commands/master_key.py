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


@click.group(
    short_help="Rotate the master key, which secrets are sealed under.",
    epilog="\b\nExample:\n  twofold key rotate\n",
)
def key() -> None:
    """Rotate the master key, which all secrets in the database are sealed under, and forget old ones."""


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
    was. Backups from before need the master key from before: it is kept beside the new one.
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
        kept = home.keep_key(ring[0])
        home.write_ring(ring[1:])
        check = check_value_of(ring[0])
        click.echo(f"{home.master_key} holds the new key alone.")
        click.echo(f"The old one is kept in {kept}: backups from before need it, by the check value {check}.")
        click.echo(f"Once you need none of them any more: {home.command(f'key forget {check}')}")


@key.command(epilog="\b\nExample:\n  twofold key forget 0123456789abcdef0123456789abcdef\n")
@click.argument("check")
@asks_first
@click.pass_obj
def forget(home: Home, check: str) -> None:
    """Remove an old master key that a rotation has kept, by its check value."""
    home.check()
    kept = home.kept_keys()
    if check not in kept:
        there = f"Kept are: {', '.join(kept)}." if kept else "None is kept."
        refuse(f"No old master key with that check value is kept beside {home.master_key}. {there}")
    confirm(
        Question(
            "Remove it?",
            f"Backups that need the key in {kept[check]} can be restored only where there is a copy of it.",
            "Remove",
        )
    )
    kept[check].unlink()
    click.echo(f"Removed {kept[check]}.")


def _question(*, prepare: bool, begun: bool) -> Question:
    which = "the" if begun else "a"
    body = (
        "A new master key is made beside the present one, to be copied to the other nodes."
        if prepare
        else f"Everything is sealed under {which} new master key."
    )
    kept = "Backups from before need the old key, which is kept beside the new one until you remove it."
    return Question("Go on?", f"{body} {kept}", "Rotate")


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
