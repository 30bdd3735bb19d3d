"""`--yes`: every command that changes something takes it; those with consequences ask without it."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from data.operations.results import Done, RefusedOrStale
from data.storage.home import Home
from data.wording.words import Question
from tui.cli.caller import Caller
from tui.cli.open_installation import installation, say
from tui.cli.prompts import ask_yes, tell
from tui.cli.streams import can_ask

P = ParamSpec("P")
C = TypeVar("C", bound=Callable[..., Any])
_YES = "twofold.yes"


class YesOption(click.Option):
    """The option `--yes`; `asks` says whether its command asks for confirmation without it."""

    asks: bool = False


class _AskingYesOption(YesOption):
    asks = True


def changes(command: C) -> C:
    """Give a command `--yes`, for scripts that pass it everywhere; it asks for no confirmation."""
    return _option(YesOption, "Accepted for consistency; this command asks for no confirmation.")(command)


def asks_first(command: C) -> C:
    """Give a command `--yes`; without it, the command must call `confirm` before it changes anything."""
    return _option(_AskingYesOption, "Do not ask for confirmation.")(command)


def act(
    command: Callable[Concatenate[Caller, P], Done | RefusedOrStale | None],
) -> Callable[P, None]:
    """Pass a command its caller, and print the result that it returns, if any."""

    @click.pass_obj
    @wraps(command)
    def run(given: Home | Caller, /, *arguments: P.args, **options: P.kwargs) -> None:
        with nullcontext(given) if isinstance(given, Caller) else installation(given) as here:
            result = command(here, *arguments, **options)
            if result is not None:
                say(result)

    return run


def confirm(question: Question) -> None:
    """Say what will happen and ask whether to continue; with `--yes`, do neither.

    Raises:
        click.UsageError: when there is no terminal to ask on.
        click.Abort: when the answer is no.
    """
    if click.get_current_context().meta[_YES]:
        return
    for line in question.body.splitlines():
        tell(line, err=True)
    if not can_ask():
        raise click.UsageError(
            "Nothing was done: there is no terminal for the confirmation. Add --yes to confirm."
        )
    if not ask_yes(question.title):
        raise click.Abort


def announce(consequence: str) -> None:
    """Say beforehand what a command that asks for no confirmation also does; not with `--yes`."""
    if consequence and not click.get_current_context().meta[_YES]:
        tell(consequence.strip(), err=True)


def _option(cls: type[YesOption], words: str) -> Callable[[C], C]:
    return click.option("--yes", cls=cls, is_flag=True, expose_value=False, callback=_remember, help=words)


def _remember(context: click.Context, _option: click.Parameter, given: bool) -> None:
    context.meta[_YES] = given
