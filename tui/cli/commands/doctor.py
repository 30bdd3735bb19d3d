"""`twofold doctor`: checking an installation."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator

import click

from data.delivery.carriers import Carriers
from data.operations.maintenance import doctor_facts, kept_counts
from data.rules.doctor import Finding, Level, all_is_well, judge_carrier, judge_disk, judge_files
from data.rules.safe_text import safe
from data.storage.home import Home, HomeError
from sshserver.limits import open_files
from tui.cli.commands.setup import load_host_key
from tui.cli.open_installation import Installation, confirmed, installation, say
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json

_TIMEDATECTL_SECONDS = 3


@click.command(
    short_help="Check the installation and suggest fixes.",
    epilog="\b\nExamples:\n  twofold doctor\n  twofold doctor --json\n  twofold doctor --repair-counts\n",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--repair-counts", is_flag=True, help="Only count all users and events again, and correct what was kept."
)
@click.pass_obj
def doctor(home: Home, as_json: bool, repair_counts: bool) -> None:
    """Check the installation: keys, database, clock, disk, files, delivery, users and policy.

    Each line says what was found and, if you should act, what to do. The exit status is 0 if there is no
    problem; notes are not problems. Without --repair-counts nothing is changed, and nothing is ever sent.
    """
    if repair_counts:
        if as_json:
            raise click.UsageError("--repair-counts prints no findings. Leave out --json.")
        with installation(home) as here:
            say(here.run(kept_counts.repair_counts))
        return
    findings: list[Finding] = []
    for finding in _look(home):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        echo_json([_as_json(finding) for finding in findings])
    click.get_current_context().exit(0 if all_is_well(findings) else 1)


def _look(home: Home) -> Iterator[Finding]:
    """Check everything that can be checked; what depends on a failed check is left out."""
    try:
        with installation(home) as here:
            yield Finding("home", Level.FINE, f"{home.path} is complete, and only its owner can read it.")
            yield Finding("keys", Level.FINE, "The master key matches the database.")
            yield from _host_key(home)
            yield from _in_the_database(here)
            yield from _disk(home)
            yield judge_files(open_files.allowed(), open_files.FEW)
            yield from _synchronised()
            to = here.store.run_now(doctor_facts.recipient)
            yield from asyncio.run(_delivery(here.settings.carriers, to))
    except HomeError as error:
        yield Finding("home", Level.PROBLEM, str(error))


def _host_key(home: Home) -> Iterator[Finding]:
    try:
        load_host_key(home)
    except HomeError as error:
        yield Finding("keys", Level.PROBLEM, str(error))
    else:
        yield Finding("keys", Level.FINE, "The host key can be read.")


def _in_the_database(here: Installation) -> Iterator[Finding]:
    run, operator = here.store.run_now, here.actor
    if (rotation := run(doctor_facts.check_rotation)) is not None:
        yield rotation
    yield run(doctor_facts.check_database)
    yield run(doctor_facts.check_schema)
    yield run(kept_counts.check_counts)
    yield run(doctor_facts.check_secrets)
    yield from confirmed(run(doctor_facts.check_clock, operator))
    yield from confirmed(run(doctor_facts.check_accounts, operator))
    if not here.settings.http.host:
        yield from confirmed(run(doctor_facts.check_lists, operator))
    if (sending := run(doctor_facts.check_sending)) is not None:
        yield sending


def _disk(home: Home) -> Iterator[Finding]:
    usage = shutil.disk_usage(home.path)
    yield judge_disk(usage.free, usage.total, str(home.path))


def _synchronised() -> Iterator[Finding]:
    """Ask systemd, if there is one, whether the clock is synchronised."""
    program = shutil.which("timedatectl")
    if program is None:
        return
    asked = [program, "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command.
            asked, capture_output=True, text=True, timeout=_TIMEDATECTL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.stdout.strip() == "no":
        yield Finding("clock", Level.NOTE, "The clock is not synchronised.", "Set up an NTP service.")


async def _delivery(carriers: Carriers, to: str | None) -> list[Finding]:
    """Try all configured carriers at once without sending anything; e-mail goes as far as RCPT TO."""
    methods = sorted(carriers.methods)
    trials = await asyncio.gather(*(carriers.probe(method, to) for method in methods))
    return [
        judge_carrier(method, trial.sentence, taken=trial.taken)
        for method, trial in zip(methods, trials, strict=True)
    ]


def _show(finding: Finding) -> None:
    echo(safe(f"{finding.level.value:8}{finding.topic}: {finding.sentence}", 1_000))
    if finding.advice:
        echo(safe(f"        {finding.advice}", 1_000))


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "level": finding.level.value,
        "topic": finding.topic,
        "sentence": finding.sentence,
        "advice": finding.advice,
    }
