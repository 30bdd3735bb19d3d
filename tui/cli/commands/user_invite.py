"""`twofold user invite` and `remind`: messages about the first sign-in and setting up 2FA."""

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TypeVar

import click

from data.delivery.notices import send_all_own
from data.operations.audit import notice_outbox
from data.operations.results import Denied
from data.operations.users import bulk_actions, invitation_conditions, invitations
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.operations.users.invitations import Group, WrittenPassword
from data.rules.audit_events import Event
from data.rules.safe_text import neutralised
from data.wording.words import Question, counted, listed
from tui.cli.caller import Caller
from tui.cli.command_groups import for_members
from tui.cli.commands.user_bulk import report
from tui.cli.confirmation import act, asks_first, confirm
from tui.cli.open_installation import Installation, confirmed, refuse, without_log_of_deliveries
from tui.cli.path_arguments import PathType
from tui.cli.streams import echo
from tui.cli.text_tables import progress, when

F = TypeVar("F", bound=Callable[..., object])
_COLUMNS = ("name", "full_name", "email", "practice", "ssh", "host_key", "one_time_password", "good_until")


def _whom(pending: str) -> Callable[[F], F]:
    """Return a decorator that adds the argument and options for choosing users."""

    def add(command: F) -> F:
        for option in (
            asks_first,
            click.option(
                "--practice", metavar="NAME", help="Users in this practice; with --pending, only those."
            ),
            click.option("--pending", is_flag=True, help=pending),
            click.argument("names", nargs=-1, metavar="[NAME]..."),
        ):
            command = option(command)
        return command

    return add


@for_members()
@click.command(
    short_help="Send users a one-time password by e-mail.",
    epilog="\b\nExamples:\n"
    "  twofold user invite ben eve\n"
    "  twofold user invite --pending\n"
    '  twofold user invite --practice "Clinic North" --csv invitations.csv\n',
)
@_whom("All users who can be invited and have no valid invitation or one-time password.")
@click.option(
    "--csv",
    "file",
    type=PathType(dir_okay=False),
    help="Send nothing; write the passwords to this new file instead, to hand out on paper.",
)
@act
def invite(
    here: Caller, names: tuple[str, ...], pending: bool, practice: str | None, file: Path | None
) -> None:
    """Invite users who have nothing to sign in with yet.

    Each gets the ssh command, the host key's fingerprint and a one-time password. The password is valid for
    one sign-in within seven days; another invitation replaces it. Users with an SSH key, a password of their
    own, a second factor or a role are not invited, but listed.
    """
    _check_whom(names, practice, pending=pending)
    if file is not None:
        confirmed(here.store.run_now(invitation_conditions.no_address))
    else:
        _check_sending(here, Bulk.INVITE)
    chosen = _chosen(here, names, practice, Group.NOT_INVITED if pending else Group.ALL)
    if not chosen:
        echo("There is no one to invite.")
        return
    if len(names) != 1:
        does = "sent a one-time password by e-mail" if file is None else "given a one-time password"
        will = _named(chosen, does, exactly=pending)
        confirm(Question("Continue?", f"{will}. Their old one-time passwords stop working.", "Invite"))
    if file is not None:
        report(_write_passwords(here, chosen, file), f"written to {file}")
        return
    _send(here, chosen, Bulk.INVITE, Event.INVITED)


@for_members()
@click.command(
    short_help="Remind users by e-mail to set up 2FA.",
    epilog="\b\nExamples:\n"
    "  twofold user remind --pending\n"
    '  twofold user remind --pending --practice "Clinic North" --yes\n',
)
@_whom("All users who must set up 2FA at next sign-in.")
@act
def remind(here: Caller, names: tuple[str, ...], pending: bool, practice: str | None) -> None:
    """Remind users who must set up two-factor authentication, at most once a day.

    Users who need not set it up, or have nothing to sign in with yet, are listed with the reason.
    """
    _check_whom(names, practice, pending=pending)
    _check_sending(here, Bulk.REMIND)
    chosen = _chosen(here, names, practice, Group.MUST_SET_UP if pending else Group.ALL)
    if not chosen:
        echo("There is no one to remind.")
        return
    if len(names) != 1:
        confirm(Question("Continue?", f"{_named(chosen, 'reminded by e-mail')}.", "Remind"))
    _send(here, chosen, Bulk.REMIND, Event.REMINDED)


def _check_whom(names: tuple[str, ...], practice: str | None, *, pending: bool) -> None:
    if bool(names) == (pending or practice is not None):
        raise click.UsageError("Choose users: give names, or --pending, --practice or both.")


def _check_sending(here: Caller, act: Bulk) -> None:
    """Refuse, before anything is asked, if no one at all can be written to: the act is tried on nobody."""
    confirmed(here.run(bulk_actions.act_on_many, (), act))


def _chosen(here: Caller, names: tuple[str, ...], practice: str | None, group: Group) -> list[str]:
    chosen = list(dict.fromkeys(names))
    while not names:
        after = chosen[-1] if chosen else ""
        page = here.read(invitations.names_of, group, practice=practice, after=after)
        chosen += confirmed(page)
        if len(confirmed(page)) < invitations.PAGE:
            break
    return chosen


def _send(here: Caller, names: list[str], act: Bulk, event: Event) -> None:
    """Queue the messages, send what the mail server accepts now, and report the result."""
    since = here.store.services.clock()
    result = here.wait(_queue_and_send, here, names, act, since)
    if isinstance(here, Installation) and (
        waiting := here.store.run_now(notice_outbox.count_waiting, event, since)
    ):
        echo(f"{counted(waiting, 'message')} could not be sent yet. The server retries for a day.", err=True)
    report(result, f"{act.done} by e-mail")


async def _queue_and_send(here: Caller, names: list[str], act: Bulk, since: datetime) -> BulkResult:
    with progress(len(names), "Preparing") as told:
        result = confirmed(await bulk_actions.carry_out(here.store, here.actor, names, act, told))
    if isinstance(here, Installation):  # For members, the server that they are at sends.
        with progress(len(result.done), "Sending  ") as told, without_log_of_deliveries():
            await send_all_own(here.store, here.settings.carriers, since, told)
    return result


def _write_passwords(here: Caller, names: list[str], file: Path) -> BulkResult:
    """Set a one-time password for each of these users, and write each to the file as it is set."""
    done: list[str] = []
    refused: list[tuple[str, str]] = []
    with _new_private_file(file) as rows, progress(len(names), "Writing  ") as told:
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name in names:
            match here.wait(invitations.write_password, here.store, here.actor, name):
                case WrittenPassword() as written:
                    writer.writerow(_cells(written))
                    rows.flush()
                    done.append(name)
                case Denied(message):
                    refused.append((name, message))
                case other:
                    confirmed(other)
            told(1)
        os.fsync(rows.fileno())
    if not done:
        file.unlink()
    return BulkResult(tuple(done), tuple(refused))


@contextmanager
def _new_private_file(path: Path) -> Iterator[IO[str]]:
    """Open a new file that only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        refuse(f"{path} already exists. Choose another name, or remove it first.")
    except OSError as error:
        refuse(f"{path} cannot be written: {error.strerror}.")
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file


def _cells(written: WrittenPassword) -> list[str]:
    cells = (
        written.name,
        written.full_name,
        written.email,
        written.practice,
        written.ssh.command(written.name),
        written.ssh.fingerprint,
        written.password,
        when(written.until),
    )
    return [neutralised(cell) for cell in cells]


def _named(names: list[str], what: str, *, exactly: bool = False) -> str:
    """Say what will be done to how many users (or at most how many), and name the first."""
    most = "" if exactly else "Up to "
    return f"{most}{counted(len(names), 'user')} will be {what}: {listed(names)}"
