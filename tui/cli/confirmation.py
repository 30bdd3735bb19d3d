"""`--yes`: every command that changes something takes it, and those with consequences ask without it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from data.operations.results import Done, RefusedOrStale
from data.rules.safe_text import safe
from data.storage.home import Home
from data.wording.words import Question
from tui.cli.open_installation import Installation, installation, on_a_terminal, say

P = ParamSpec("P")
C = TypeVar("C", bound=Callable[..., Any])
_YES = "twofold.yes"


class YesOption(click.Option):
    """The option `--yes`; `asks` says whether its command asks where it is not given."""

    asks: bool = False


class _AskingYesOption(YesOption):
    asks = True


def changes(command: C) -> C:
    """Have a command take `--yes`, for scripts that give it everywhere; it never asks."""
    return _option(YesOption, "Accepted by every command that changes something; this one never asks.")(
        command
    )


def asks_first(command: C) -> C:
    """Have a command take `--yes`, without which it must call `confirm` before it changes anything."""
    return _option(_AskingYesOption, "Do not ask for confirmation.")(command)


def act(
    command: Callable[Concatenate[Installation, P], Done | RefusedOrStale | None],
) -> Callable[P, None]:
    """Give a command the open installation, and have it say what it returns, if anything."""

    @click.pass_obj
    @wraps(command)
    def run(home: Home, /, *arguments: P.args, **options: P.kwargs) -> None:
        with installation(home) as here:
            result = command(here, *arguments, **options)
            if result is not None:
                say(result)

    return run


def confirm(question: Question) -> None:
    """Say what will happen and ask whether to go on; with `--yes`, do neither.

    Raises:
        click.UsageError: when there is no terminal to ask on.
        click.Abort: when the answer is no.
    """
    if click.get_current_context().meta[_YES]:
        return
    for line in question.body.splitlines():
        click.echo(safe(line, 1_000), err=True)
    if not on_a_terminal():
        raise click.UsageError("Nothing was done: there is no terminal to ask on. Add --yes to confirm.")
    click.confirm(safe(question.title, 1_000), abort=True, err=True)


def _option(cls: type[YesOption], words: str) -> Callable[[C], C]:
    return click.option("--yes", cls=cls, is_flag=True, expose_value=False, callback=_remember, help=words)


def _remember(context: click.Context, _option: click.Parameter, given: bool) -> None:
    context.meta[_YES] = given
