"""Running a command to its exit status, whoever gave it: every error is one line on standard error."""

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import click
from click.exceptions import NoArgsIsHelpError

from data.errors import ExplainedError
from data.rules.safe_text import safe
from sshserver.command_streams import CommandStoppedError
from sshserver.telemetry import crash_reports
from sshserver.telemetry.crash_reports import place_of
from tui.cli.streams import echo, streams

if TYPE_CHECKING:
    from tui.cli.caller import Caller

_PROGRAM: Final = "twofold"
_FAILED, _WRONG_USAGE = 1, 2
_USUAL_COLUMNS, _WIDEST = 80, 100
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Errors of a disk, or another output, that cannot take any more."""


def outcome(command: Callable[[], object], describe: Callable[[BaseException], str] | None = None) -> int:
    """Run a command, show its error if it fails, and return the exit status.

    It is 2 for wrong usage, 1 for a refused or failed operation. `describe` puts an error into words, as
    `words_for` does.

    Raises:
        BrokenPipeError: when no one reads the output any more.
    """
    try:
        result = command()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no one is shown a traceback.
        there = streams()
        there.interruption.clear()
        if there.stdout is not None:
            there.stdout.flush()  # What was written before the error comes before it.
        if isinstance(error, CommandStoppedError):
            return _FAILED  # Whoever ended the session says why.
        return _fail(error, describe or words_for)
    return result if isinstance(result, int) else 0


def invoke(root: click.Group, program: str, caller: "Caller", words: Sequence[str]) -> object:
    """Run a command of a tree, whose help fits on the terminal of the present streams."""
    there = streams()
    columns = there.columns or _USUAL_COLUMNS
    with root.make_context(
        program, list(words), obj=caller, terminal_width=columns, max_content_width=_WIDEST
    ) as context:
        result = root.invoke(context)
    there.stdout.flush()
    there.stderr.flush()
    return result


def _fail(error: BaseException, describe: Callable[[BaseException], str]) -> int:
    """Print an error in one line and return the exit status."""
    if isinstance(error, NoArgsIsHelpError):
        echo(error.format_message(), err=True)
        return _WRONG_USAGE
    message = describe(error)
    if isinstance(error, click.UsageError):
        end = "" if message.endswith((".", "?")) else "."
        _complain(f"{message}{end} See: {_help_of(error.ctx)}")
        return _WRONG_USAGE
    _complain(message)
    return _FAILED


def _help_of(context: click.Context | None) -> str:
    """Return what shows how a command is used; an option right after the host would be OpenSSH's."""
    path = context.command_path if context else _PROGRAM
    is_root_of_members = context is not None and context.parent is None and path != _PROGRAM
    return f"{path} {'help' if is_root_of_members else '--help'}".lstrip()


def is_explained(error: BaseException) -> bool:
    """Return whether an error says by itself what happened, in words for whoever gave the command."""
    return isinstance(error, click.ClickException | click.Abort | KeyboardInterrupt | ExplainedError)


def words_for(error: BaseException) -> str:
    """Put an error into words; an unexpected one only by its type and place."""
    match error:
        case click.ClickException():
            return error.format_message()
        case click.Abort() | KeyboardInterrupt():
            return "Cancelled."
        case ExplainedError():
            return str(error)
        case OSError() if error.filename or error.errno in _NO_ROOM:
            return _words_for_file(error)
        case _:
            return f"Internal error: {place_of(error)}. Please report this line."


def words_for_member(error: BaseException) -> str:
    """Put an error into words for a member; an unexpected one is reported to the operator."""
    if isinstance(error, Exception) and not is_explained(error):
        reference = crash_reports.report(error, "A command")
        return f"The command failed. Give your administrator this reference: {reference}"
    return words_for(error)


def _words_for_file(error: OSError) -> str:
    where = safe(error.filename) if error.filename else "The output"
    if isinstance(error, PermissionError):
        return f"{where}: {error.strerror}. Run this as its owner or as root."
    if error.errno in _NO_ROOM:
        return f"{where} cannot be written: {error.strerror}. The command may have taken effect: check first."
    return f"{where}: {error.strerror}."


def _complain(message: str) -> None:
    line = " ".join(message.split())
    echo(f"twofold: {safe(line, 1_000)}", err=True)
