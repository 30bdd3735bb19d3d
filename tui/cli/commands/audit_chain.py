"""`twofold audit head` and `verify`: showing that nothing of the log was changed, removed or cut off."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from data.operations.audit import chain, verification
from data.operations.audit.verification import Verification
from data.rules.audit_chain import Head
from data.storage.home import Home
from data.wording.words import counted
from tui.cli.commands.audit_archive import verify_file
from tui.cli.open_installation import Installation, confirmed, installation, refuse
from tui.cli.output_formats import opened
from tui.cli.path_arguments import PathType, TextFile
from tui.cli.text_tables import echo_json, echo_table, progress

_LONGEST_LINE = 1_000


@click.command(
    short_help="Print where the audit log ends now.",
    epilog="\b\nExamples:\n"
    "  twofold audit head >> /media/elsewhere/twofold-heads\n"
    "  twofold audit head | ssh backup.example 'cat >> twofold-heads'\n",
)
@click.option(
    "--output",
    type=PathType(dir_okay=False),
    help="A new file to write, instead of standard output.",
)
@click.pass_obj
def head(home: Home, output: Path | None) -> None:
    """Print where the audit log ends now, a line of JSON for each of its chains.

    Kept where whoever can write the database cannot, it shows later whether the end was cut off:
    see `twofold audit verify --head`.
    """
    with installation(home) as here:
        found = confirmed(here.run(chain.heads))
    with opened(output) as file:
        for each in found:
            file.write(json.dumps({"chain": each.chain, "seq": each.seq, "mac": each.mac}) + "\n")


@click.command(
    short_help="Verify that each row is as it was written.",
    epilog="\b\nExamples:\n"
    "  twofold audit verify\n"
    "  twofold audit verify --head /media/elsewhere/twofold-heads\n"
    "  twofold audit verify --archive audit-2025.jsonl\n"
    "  twofold audit verify --json\n",
)
@click.option(
    "--head",
    "head_file",
    type=TextFile(),
    metavar="FILE",
    help="Heads that were printed before (- for standard input): all of them must still be in the log.",
)
@click.option(
    "--archive",
    type=TextFile(),
    metavar="FILE",
    help="Verify this file of `twofold audit archive`, instead of the log.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def verify(home: Home, head_file: IO[str] | None, archive: IO[str] | None, as_json: bool) -> None:
    """Verify that each row of the audit log is as it was written and where it was written.

    Names the first row of each chain that was changed, removed, moved or cut off. The exit status is 0
    when all is well. Without --head, rows cut off at the end together with the record of them are not
    missed.
    """
    exported = _heads_of(head_file) if head_file else []
    with installation(home) as here:
        found = _verify_log(here, exported) if archive is None else verify_file(here, archive, exported)
    if as_json:
        echo_json(_as_json(found))
    else:
        _echo(found)
    if found.faults:
        refuse(found.faults[0].sentence)
    if not as_json:
        what = "audit log" if archive is None else "archive"
        rows, chains = counted(found.rows, "row"), counted(len(found.chains), "chain")
        click.echo(f"The {what} is whole: {rows} in {chains}.")


def _verify_log(here: Installation, exported: Sequence[Head]) -> Verification:
    plan = confirmed(here.run(verification.plan_verification, exported))
    with progress(plan.rows, "Verifying") as told:
        return confirmed(asyncio.run(verification.verify(here.store, here.operator, plan, told)))


def _heads_of(file: IO[str]) -> list[Head]:
    """Read heads as they were printed; a file may hold those of many days."""
    found: list[Head] = []
    try:
        for line in iter(lambda: file.readline(_LONGEST_LINE), ""):
            if not line.strip():
                continue
            record = json.loads(line)
            found.append(Head(str(record["chain"]), int(record["seq"]), str(record["mac"])))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise click.UsageError(
            f"--head is to be what `twofold audit head` printed; line {len(found) + 1} is not."
        ) from None
    return found


def _echo(found: Verification) -> None:
    echo_table(
        ("CHAIN", "ARCHIVED", "VERIFIED", "HEAD", "STATE"),
        [
            (
                chain.head.chain,
                str(chain.archived),
                str(chain.rows),
                f"{chain.head.seq} {chain.head.mac[:16]}",
                chain.fault.sentence if chain.fault else "whole",
            )
            for chain in found.chains
        ],
        limit=160,
    )


def _as_json(found: Verification) -> dict[str, object]:
    return {
        "whole": not found.faults,
        "rows": found.rows,
        "chains": [
            {
                "chain": chain.head.chain,
                "archived": chain.archived,
                "verified": chain.rows,
                "seq": chain.head.seq,
                "mac": chain.head.mac,
                "fault": chain.fault.sentence if chain.fault else None,
            }
            for chain in found.chains
        ],
        "faults": [
            {"chain": fault.chain, "seq": fault.seq, "wrong": fault.wrong.name.lower()}
            for fault in found.faults
        ],
    }
