"""`twofold audit archive`: moving old rows to a file, and verifying that file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NoReturn

import click

from data.operations.audit import archiving
from data.operations.audit.verification import (
    BATCH,
    Checked,
    Fault,
    Plan,
    Position,
    Stretch,
    Told,
    Verification,
    Wrong,
)
from data.operations.results import Denied
from data.rules.audit_chain import Head
from data.storage.home import Home
from data.store import StoreUnavailableError
from data.wording.words import Question, counted
from tui.cli.caller import Caller
from tui.cli.commands import audit_archive_file
from tui.cli.confirmation import asks_first, confirm
from tui.cli.open_installation import Installation, confirmed, installation, refuse
from tui.cli.path_arguments import PathType
from tui.cli.streams import echo
from tui.cli.text_tables import progress, when


@click.command(
    epilog="\b\nExamples:\n"
    "  twofold audit archive --before 2025-01-01 --to /srv/archive/audit-2024.jsonl\n"
    "  twofold audit verify --archive /srv/archive/audit-2024.jsonl\n"
)
@click.option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    metavar="DATE",
    help="Move the rows before this date, such as 2026-01-31 or 2026-01-31T08:00 (UTC).",
)
@click.option(
    "--to",
    "target",
    required=True,
    type=PathType(dir_okay=False),
    help="The new file to write.",
)
@asks_first
@click.pass_obj
def archive(home: Home, before: datetime, target: Path) -> None:
    """Move old rows of the audit log to a file: all of them, or none.

    The rows are verified and written to disk before they are deleted from the database. A sealed mark
    takes their place, so that `twofold audit verify` knows that they were archived; the log records who
    did it. `twofold audit verify --archive` can verify the file while this installation has its master key.
    """
    before = before.replace(tzinfo=UTC)
    with installation(home) as here:
        plan = confirmed(here.run(archiving.plan_archive, before))
        confirm(
            Question(
                "Archive them?",
                f"{counted(plan.rows, 'row')} of the audit log from before {when(before)} will be moved to "
                f"{target} and deleted from the database. Keep the file: it will be the only copy.",
                "Archive",
            )
        )
        with audit_archive_file.new_archive(target) as file, progress(plan.rows, "Archiving") as told:
            audit_archive_file.write_header(file, plan.stretches, here.store.services.clock())
            for stretch in plan.stretches:
                _write(here, file, stretch, told)
        try:
            done = here.run(archiving.cut, plan.stretches, before)
        except StoreUnavailableError as error:
            refuse(f"{error} The rows are in {target}, and may still be in the log.")
        if isinstance(done, Denied):
            target.unlink()
        echo(confirmed(done).message)


def verify_file(here: Caller, file: IO[str], exported: Sequence[Head]) -> Verification:
    """Verify each row of an archive, from one sealed mark to the next."""
    try:
        stretches = audit_archive_file.read_header(file)
        plan = confirmed(here.run(archiving.plan_archive_verification, stretches, exported))
        with progress(plan.rows, "Verifying") as told:
            return _follow(here, file, plan, told)
    except audit_archive_file.NotAnArchiveError as error:
        refuse(str(error))
    except UnicodeDecodeError:
        refuse("The file is not an archive of the audit log: it is not UTF-8.")


def _write(here: Installation, file: IO[str], stretch: Stretch, told: Told) -> None:
    position = Position(stretch.begin)
    if stretch.before:
        _refuse_fault(stretch.before)
    while position.head.seq < stretch.end.seq:
        batch = here.run(archiving.read_batch, stretch, position)
        if isinstance(batch, Fault):
            _refuse_fault(batch)
        read = confirmed(batch)
        audit_archive_file.write_rows(file, stretch.end.chain, read.rows)
        told(len(read.rows))
        position = read.position


def _refuse_fault(fault: Fault) -> NoReturn:
    refuse(f"{fault.sentence} Nothing was archived. See: twofold audit verify")


def _follow(here: Caller, file: IO[str], plan: Plan, told: Told) -> Verification:
    """Follow each chain of a file; rows after its end, or outside all its chains, are faults."""
    positions = {stretch.end.chain: Position(stretch.begin) for stretch in plan.stretches}
    faults = {stretch.end.chain: stretch.before for stretch in plan.stretches}
    by_name = {stretch.end.chain: stretch for stretch in plan.stretches}
    stranger: Fault | None = None
    for chain, rows in audit_archive_file.read_rows(file, BATCH):
        stretch = by_name.get(chain)
        if stretch is None:
            stranger = stranger or Fault(None, rows[0][0], Wrong.ADDED)
            continue
        if faults[chain] is not None:
            continue
        position = positions[chain]
        reached = here.run(archiving.verify_archived, stretch, position, rows)
        told(len(rows))
        if isinstance(reached, Fault):
            faults[chain] = reached
        else:
            positions[chain] = confirmed(reached)
        if positions[chain].head.seq > stretch.end.seq:
            faults[chain] = Fault(chain, stretch.end.seq + 1, Wrong.ADDED)
    checked = [
        Checked(
            stretch.end,
            stretch.begin.seq,
            positions[name].head.seq - stretch.begin.seq,
            faults[name] or _cut_off(positions[name].head, stretch.end),
        )
        for name, stretch in by_name.items()
    ]
    return Verification(tuple(checked), stranger)


def _cut_off(reached: Head, end: Head) -> Fault | None:
    return Fault(end.chain, reached.seq + 1, Wrong.CUT_OFF) if reached.seq < end.seq else None
