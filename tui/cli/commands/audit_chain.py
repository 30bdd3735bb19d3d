"""`twofold audit head` and `verify`: proof that no row was changed, removed or cut off."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

from data.operations.audit import chain, verification
from data.operations.audit.verification import Verification
from data.rules.audit_chain import Head
from data.wording.words import counted
from tui.cli.caller import Caller
from tui.cli.command_groups import for_members
from tui.cli.commands.audit_archive import verify_file
from tui.cli.confirmation import act
from tui.cli.open_installation import confirmed, refuse
from tui.cli.output_formats import opened
from tui.cli.path_arguments import PathType, TextFile
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, progress

_LONGEST_LINE = 1_000
_MOST_HEADS = 100_000
"""Heads that are kept in memory: those of ten chains on each day of twenty-seven years."""


@for_members()
@click.command(
    short_help="Print the current end of the audit log.",
    epilog="\b\nExamples:\n"
    "  twofold audit head >> /media/elsewhere/twofold-heads\n"
    "  twofold audit head | ssh backup.example 'cat >> twofold-heads'\n",
)
@click.option(
    "--output",
    type=PathType(dir_okay=False),
    help="Write to this new file instead of standard output.",
)
@act
def head(here: Caller, output: Path | None) -> None:
    """Print the current end of the audit log: one line of JSON for each of its chains.

    Keep the output where people who can write to the database cannot change it. It shows later whether
    the end was cut off: see `twofold audit verify --head`.
    """
    found = confirmed(here.read(chain.heads))
    with opened(output) as file:
        for each in found:
            file.write(json.dumps({"chain": each.chain, "seq": each.seq, "mac": each.mac}) + "\n")


@for_members(without=["archive"])
@click.command(
    short_help="Verify that no row was changed or removed.",
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
    help="Output of `twofold audit head` (- for standard input): the log must still contain it.",
)
@click.option(
    "--archive",
    type=TextFile(),
    metavar="FILE",
    help="Verify this file from `twofold audit archive` instead of the log.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def verify(here: Caller, head_file: IO[str] | None, archive: IO[str] | None, as_json: bool) -> None:
    """Verify that no row of the audit log was changed, removed or moved.

    Shows the first row of each chain that was changed, removed, moved or cut off. The exit status is 0 if
    there is none. Only --head can show that rows at the end were cut off together with their record.
    """
    exported = _heads_of(head_file) if head_file else []
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
        echo(f"The {what} is intact: {rows} in {chains}.")


def _verify_log(here: Caller, exported: Sequence[Head]) -> Verification:
    plan = confirmed(here.read(verification.plan_verification, exported))
    with progress(plan.rows, "Verifying") as told:
        return confirmed(here.wait(verification.verify, here.store, here.actor, plan, told))


def _heads_of(file: IO[str]) -> list[Head]:
    """Read heads as they were printed; a file may hold those of many days."""
    found: list[Head] = []
    try:
        for line in iter(lambda: file.readline(_LONGEST_LINE), ""):
            if not line.strip():
                continue
            record = json.loads(line)
            found.append(Head(str(record["chain"]), int(record["seq"]), str(record["mac"])))
            if len(found) > _MOST_HEADS:
                refuse(f"--head may hold at most {_MOST_HEADS} lines. Give the newest.")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise click.UsageError(
            f"--head must be output of `twofold audit head`; line {len(found) + 1} is not."
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
                chain.fault.sentence if chain.fault else "intact",
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
