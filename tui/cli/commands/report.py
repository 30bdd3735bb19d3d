"""`twofold report`: what an auditor asks of an account, in one file."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from data.operations.audit import chain
from data.operations.audit.trail import Entry, Filter
from data.operations.policy import auditor_report
from data.operations.policy.auditor_report import Exemption, Setting, Unprotected
from data.operations.policy.overview import StatusCounts
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members, in_account
from tui.cli.commands.audit import oldest_first
from tui.cli.confirmation import act
from tui.cli.moment_options import moment_of
from tui.cli.open_installation import confirmed
from tui.cli.output_formats import Record, output_option
from tui.cli.report_formats import Report, Section, write_report

_COUNTED = {
    "people": "People",
    "enabled": "Enabled",
    "pending": "Pending",
    "no": "No",
    "locked": "Locked",
    "share_enabled": "Share",
}


@for_members()
@in_account
@click.command(
    short_help="Write a report for an auditor.",
    epilog=examples(
        "twofold report > report.md",
        "twofold report --format csv --practice North --output north.csv",
        "twofold report --format json --since 2026-01-01 --output 2026.json",
    ),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "csv", "json"]),
    default="md",
    show_default=True,
    help="Markdown to read, CSV with a column `section`, or one JSON object.",
)
@click.option("--practice", metavar="NAME", help="Only people in this practice.")
@click.option(
    "--since",
    metavar="DATE",
    help="Only changes of policy since then: a date such as 2026-01-31 (UTC), or 90d. All by default.",
)
@output_option
@act
def report(here: Caller, form: str, practice: str | None, since: str | None, output: Path | None) -> None:
    """Write a report for an auditor.

    It says what the policy is and since when, how many people have two-factor authentication, by practice
    and by role, who has no second factor, who is an exception and since when, how the policy changed in
    the period, and where the audit log ends. Only active users are counted. It holds no secret.

    The last section is what `twofold audit head` prints: it shows later that the log was not cut off.
    """
    begin = moment_of("--since", since, here.store.services.clock())
    write_report(_report(here, practice, begin), form, output)


def _report(here: Caller, practice: str | None, since: datetime | None) -> Report:
    """Read what is small; the rest is read while it is written."""
    seen = confirmed(here.read(auditor_report.summarise, practice))
    changed = Filter(event="policy.", since=since)
    facts = {"account": seen.account, "practice": practice, "written_at": seen.at, "changes_since": since}
    sections = [
        Section(
            "policy",
            "Policy",
            {"setting": "Setting", "value": "Value", "since": "Since", "by": "By"},
            map(_setting, seen.settings),
        ),
        Section("adoption", "Adoption", _COUNTED, [_counted(seen.everyone)]),
        Section(
            "adoption_by_practice",
            "Adoption by practice",
            {"practice": "Practice", **_COUNTED},
            ({"practice": each.name, **_counted(each.counts)} for each in seen.practices),
        ),
        Section(
            "adoption_by_role",
            "Adoption by role",
            {"role": "Role", **_COUNTED},
            ({"role": each.name, **_counted(each.counts)} for each in seen.roles),
        ),
        Section(
            "without_second_factor",
            "People without a second factor",
            {
                "name": "Name",
                "full_name": "Full name",
                "practice": "Practice",
                "roles": "Roles",
                "status": "2FA",
                "created_at": "Created",
                "last_signin_at": "Last sign-in",
            },
            map(_unprotected, _all_unprotected(here, practice)),
        ),
        Section(
            "exceptions",
            "Exceptions",
            {
                "name": "Name",
                "full_name": "Full name",
                "practice": "Practice",
                "exception": "Exception",
                "since": "Since",
                "by": "By",
            },
            map(_exemption, _all_exceptions(here, practice)),
        ),
        Section(
            "policy_changes",
            "Changes of policy",
            {"at": "When", "by": "By", "change": "Change"},
            map(_change, oldest_first(here, changed)),
        ),
        Section(
            "audit_log_head",
            "Head of the audit log",
            {"chain": "Chain", "seq": "Row", "mac": "Hash"},
            _heads(here),
            verbatim=True,
        ),
    ]
    title = f"Two-factor authentication in {seen.account}"
    return Report(title, {name: fact for name, fact in facts.items() if fact is not None}, sections)


def _all_unprotected(here: Caller, practice: str | None) -> Iterator[Unprotected]:
    after: str | None = ""
    while after is not None:
        page = confirmed(here.run(auditor_report.list_unprotected, practice, after=after))
        yield from page
        after = page[-1].name if len(page) == auditor_report.PAGE else None


def _all_exceptions(here: Caller, practice: str | None) -> Iterator[Exemption]:
    after: str | None = ""
    while after is not None:
        page = confirmed(here.run(auditor_report.list_exceptions, practice, after=after))
        yield from page.rows
        after = page.following


def _heads(here: Caller) -> Iterator[Record]:
    """Read the heads when they are written: after everything else."""
    for head in confirmed(here.read(chain.heads)):
        yield {"chain": head.chain, "seq": head.seq, "mac": head.mac}


def _setting(setting: Setting) -> Record:
    return {"setting": setting.name, "value": setting.value, "since": setting.since, "by": setting.by}


def _counted(counts: StatusCounts) -> Record:
    return {
        "people": counts.total,
        "enabled": counts.enabled,
        "pending": counts.pending,
        "no": counts.no,
        "locked": counts.locked,
        "share_enabled": counts.share_enabled,
    }


def _unprotected(person: Unprotected) -> Record:
    return {
        "name": person.name,
        "full_name": person.full_name,
        "practice": person.practice,
        "roles": sorted(role.value for role in person.roles),
        "status": person.status.value,
        "created_at": person.created_at,
        "last_signin_at": person.last_signin_at,
    }


def _exemption(row: Exemption) -> Record:
    return {
        "name": row.name,
        "full_name": row.full_name,
        "practice": row.practice,
        "exception": row.exempt.value,
        "since": row.since,
        "by": row.by,
    }


def _change(entry: Entry) -> Record:
    return {"at": entry.at, "by": entry.actor, "change": entry.sentence}
