"""The streams of the present command: those of this process, or of a channel where a member runs it.

Commands of several members run at the same time, each in a thread, so no command uses the streams of the
process by itself, as click's own functions do.
"""

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import BinaryIO

import click

from sshserver.command_streams import Streams

_present: ContextVar[Streams | None] = ContextVar("streams", default=None)


@contextmanager
def using(given: Streams) -> Iterator[None]:
    """Let commands in this thread use these streams instead of those of the process."""
    token = _present.set(given)
    try:
        yield
    finally:
        _present.reset(token)


def are_remote() -> bool:
    """Return whether the present streams are a channel's: nobody here knows whether a terminal shows them."""
    return _present.get() is not None


def streams() -> Streams:
    """Return the streams of the present command."""
    return _present.get() or _of_process()


def _of_process() -> Streams:
    asks = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    return Streams(
        _binary_input(),
        sys.stdout,
        sys.stderr,
        _ask_on_terminal if asks else None,
        shutil.get_terminal_size if sys.stdout is not None and sys.stdout.isatty() else None,
    )


def _binary_input() -> BinaryIO:
    if isinstance(sys.stdin, io.TextIOWrapper):
        binary: BinaryIO = sys.stdin.buffer
        return binary
    return io.BytesIO()


def _ask_on_terminal(prompt: str, hidden: bool = False, kept: bool = False) -> str:  # noqa: ARG001 - no history.
    try:
        return str(
            click.prompt(
                prompt, prompt_suffix="", default="", show_default=False, hide_input=hidden, err=True
            )
        )
    except click.Abort:
        raise KeyboardInterrupt from None


def echo(text: str = "", *, err: bool = False, nl: bool = True, whole: bool = False) -> None:
    """Write a line to standard output or standard error.

    In the plain mode it is broken between words to fit, unless it is to be copied as a whole.
    """
    there = streams()
    click.echo(text if whole else "\n".join(_fitted(text)), file=there.stderr if err else there.stdout, nl=nl)


def _fitted(text: str) -> Iterator[str]:
    """Yield the lines of a text; in the plain mode, those that are too long are broken and indented alike."""
    columns = streams().columns if streams().is_plain else None
    if columns is None:
        yield from text.split("\n")
        return
    import wcwidth  # noqa: PLC0415 - it takes longer than all that most commands of the host do.

    for line in text.split("\n"):
        if wcwidth.wcswidth(line) <= columns:
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        # Addresses, keys and codes stay whole, so that they can be copied.
        yield from wcwidth.wrap(
            line.strip(),
            columns,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )


def can_ask() -> bool:
    """Return whether someone can be asked."""
    return streams().ask is not None
