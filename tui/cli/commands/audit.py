"""`twofold audit`: the log of every change and sign-in."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from data.operations.audit import trail as log
from data.operations.audit.trail import Entry, Filter
from data.rules.audit_events import Event
from data.rules.source_addresses import source_in_words
from data.rules.user_fields import fold_username
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.commands.audit_archive import archive
from tui.cli.commands.audit_chain import head, verify
from tui.cli.confirmation import act
from tui.cli.moment_options import moment_of
from tui.cli.open_installation import confirmed
from tui.cli.output_formats import export_options, write_records
from tui.cli.text_tables import echo_json_list, echo_table, iso, when

_PAGE = 500


def _known(_context: click.Context, _parameter: click.Parameter, kind: str | None) -> str | None:
    if kind is not None and not any(event.value.startswith(kind) for event in Event):
        kinds = sorted({event.value.partition(".")[0] for event in Event})
        raise click.BadParameter(f"no event type starts with that. The types start with: {', '.join(kinds)}.")
    return kind


_event_option = click.option(
    "--event",
    callback=_known,
    metavar="TYPE",
    help="Only event types that start with this, such as signin or code.not_sent: see `audit list --json`.",
)


@click.group(cls=InAccount, epilog="\b\nExample:\n  twofold audit list --user anna --since 7d\n")
def audit() -> None:
    """Read and verify the audit log."""


@for_members()
@audit.command(
    "list",
    epilog="\b\nExamples:\n"
    "  twofold audit list --since 2h\n"
    "  twofold audit list --event signin --since 7d\n"
    "  twofold audit list --user anna --json --limit 0\n",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--user", "name", help="Only rows by or about this user.")
@_event_option
@click.option("--since", help="Only rows since then: 30m, 2h, 7d, or a date such as 2026-01-31T08:00 (UTC).")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="How many of the newest rows; 0 for all.",
)
@act
def list_entries(
    here: Caller, as_json: bool, name: str | None, event: str | None, since: str | None, limit: int
) -> None:
    """List the newest rows in chronological order."""
    which = Filter(_folded(name), event, moment_of("--since", since, here.store.services.clock()))
    found = _newest(here, which, limit)
    if as_json:
        echo_json_list(map(_as_json, found))
        return
    echo_table(
        ("WHEN", "WHO", "USER", "WHERE", "WHAT"),
        (
            (
                when(entry.at),
                entry.actor,
                entry.user or "-",
                source_in_words(entry.application, entry.address),
                entry.sentence,
            )
            for entry in found
        ),
    )


_COLUMNS = ("id", "at", "event", "sentence", "actor", "user", "application", "address", "detail")


@for_members()
@audit.command(
    epilog="\b\nExamples:\n"
    "  twofold audit export > audit.csv\n"
    "  twofold audit export --since 30d --format jsonl --output audit.jsonl\n"
)
@click.option("--user", "name", help="Only rows by or about this user.")
@_event_option
@click.option("--since", help="Only rows since then: 30m, 2h, 7d, or a date such as 2026-01-31T08:00 (UTC).")
@export_options
@act
def export(
    here: Caller, name: str | None, event: str | None, since: str | None, form: str, output: Path | None
) -> None:
    """Write the log as CSV or JSON Lines, oldest rows first.

    In CSV, cells that a spreadsheet would take for a formula start with an apostrophe.
    """
    which = Filter(_folded(name), event, moment_of("--since", since, here.store.services.clock()))
    write_records(map(_as_json, oldest_first(here, which)), _COLUMNS, form, output)


# The chains belong to the whole installation, so these commands take no account.
for _command in (head, verify, archive):
    click.Group.add_command(audit, _command)


def oldest_first(here: Caller, which: Filter) -> Iterator[Entry]:
    """Read all rows, page by page; the first page that is not full ends the export."""
    after: int | None = 0
    while after is not None:
        page = confirmed(here.run(log.export_entries, which, after=after, limit=_PAGE))
        yield from page
        after = page[-1].id if len(page) == _PAGE else None


def _newest(here: Caller, which: Filter, limit: int) -> Iterator[Entry]:
    """Yield the newest rows in chronological order, of which only a page is held at a time.

    The pages are read backwards to find where each begins, then again from the oldest.
    """
    begins: list[tuple[int | None, int]] = []
    page: list[Entry] = []
    before, left, is_full = None, limit or sys.maxsize, True
    while left and is_full:
        size = min(_PAGE, left)
        page = confirmed(here.read(log.list_entries, which, before=before, limit=size))
        begins.append((page[0].id + 1 if page else before, size))
        left, is_full = left - len(page), len(page) == size
        before = page[-1].id if page else None
    yield from reversed(page)
    for before, size in reversed(begins[:-1]):
        yield from reversed(confirmed(here.read(log.list_entries, which, before=before, limit=size)))


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": iso(entry.at),
        "event": entry.event,
        "actor": entry.actor,
        "user": entry.user,
        "application": entry.application,
        "address": entry.address,
        "detail": entry.detail,
        "sentence": entry.sentence,
    }


def _folded(name: str | None) -> str | None:
    if name is None:
        return None
    folded = fold_username(name)
    if folded is None:
        raise click.UsageError("--user must be a user name.")
    return folded
