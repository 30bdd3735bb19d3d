"""Questions and answers in plain text: lines that stay where they are, whoever reads them.

At a terminal each question is asked; otherwise the answers are the lines of standard input.
"""

from collections.abc import Sequence

import click
import wcwidth

from data.rules.safe_text import safe
from tui.cli.streams import echo, streams
from tui.cli.text_tables import encodable

_LONGEST_LINE = 10_000
_LONGEST_TEXT = 2_000


def tell(text: str, *, hang: int = 0, err: bool = False) -> None:
    """Write a text; on a terminal its lines are broken between words, those after the first indented."""
    for line in text.split("\n"):
        for part in _broken(line, hang):
            echo(part, err=err)


def reply(prompt: str, *, hidden: bool = False) -> str:
    """Ask for a line, which is not shown where `hidden` is true; a prompt that is too long is broken.

    Raises:
        click.Abort: at Ctrl+C and at the end of the input.
    """
    question = streams().ask
    if question is not None:
        *above, last = _broken(prompt.rstrip())
        for part in above:
            echo(part, err=True)
        try:
            return question(f"{last} " if last else "", hidden)
        except (EOFError, KeyboardInterrupt):
            raise click.Abort from None
    echo(prompt.rstrip(), err=True)
    line = streams().stdin.readline(_LONGEST_LINE)
    if not line:
        raise click.Abort
    return line.decode("utf-8", "replace").rstrip("\r\n")


def choose(question: str, choices: Sequence[str]) -> int:
    """Ask for one of several by its number, which is returned counted from zero; the first is the default."""
    tell(question, err=True)
    for number, choice in enumerate(choices, 1):
        tell(f"{number}. {choice}", hang=3, err=True)
    while True:
        typed = reply(f"Type a number from 1 to {len(choices)} [1]: ").strip() or "1"
        if typed.isdecimal() and 1 <= int(typed) <= len(choices):
            return int(typed) - 1
        tell(f"Type a number from 1 to {len(choices)}.", err=True)


def ask_yes(question: str) -> bool:
    """Ask for a yes or no, until one is given; no is the default."""
    *before, prompt = _broken(f"{question} [y/N]:")
    for part in before:
        echo(part, err=True)
    while True:
        answer = reply(f"{prompt} ").strip().lower()
        if answer in ("", "n", "no"):
            return False
        if answer in ("y", "yes"):
            return True
        tell("Answer y or n.", err=True)


def _broken(line: str, hang: int = 0) -> list[str]:
    shown, width = encodable(safe(line, _LONGEST_TEXT)), streams().columns
    if width is None or not shown:
        return [shown]
    return wcwidth.wrap(
        shown, width, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
    )
