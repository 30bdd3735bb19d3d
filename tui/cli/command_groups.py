"""Command groups that import lazily, and the `--account` option of their commands."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import click

from data.rules.policy import Step

C = TypeVar("C", bound=click.Command)
_ACCOUNT = "twofold.account"


def load(place: str) -> Any:
    """Import what `module:name` names, and keep the imported objects out of garbage collection.

    None of them is garbage, and scanning them would take a sixth of the time.
    """
    module, _, name = place.partition(":")
    gc.disable()
    try:
        return getattr(import_module(module), name)
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """A group that imports a command's module on demand: most commands need little of the program."""

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        """Take the commands by name, each with its place `module:function`."""
        super().__init__(*arguments, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature.
        """List the names of the commands."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it at its first use."""
        if cmd_name in self._places and cmd_name not in self.commands:
            self.add_command(load(self._places[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)


def in_account(command: click.Command) -> click.Command:
    """Give a command the option `--account`."""
    command.params.append(
        click.Option(
            ["--account"],
            metavar="NAME",
            expose_value=False,
            callback=_remember_account,
            help="The account to act in, if there are several.",
        )
    )
    return command


class InAccount(click.Group):
    """A group whose commands act in one account: each takes `--account`, required if there are several."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command and give it the option `--account`."""
        super().add_command(cmd if isinstance(cmd, click.Group) else in_account(cmd), name)


class LazyInAccount(LazyGroup, InAccount):
    """A group that imports its commands on demand; they act in one account."""


def _remember_account(context: click.Context, _option: click.Parameter, name: str | None) -> None:
    context.meta[_ACCOUNT] = name


def named_account() -> str | None:
    """Return the account that the current command was given; None if it was given none."""
    context = click.get_current_context(silent=True)
    name = context.meta.get(_ACCOUNT) if context else None
    return None if name is None else str(name)


@dataclass(frozen=True, slots=True)
class MemberTerms:
    """How members have a command: `without` these parameters, and in restricted sessions at these steps."""

    without: frozenset[str] = frozenset()
    restricted: tuple[type[Step], ...] = ()


_members: dict[click.Command, MemberTerms] = {}


def for_members(*, without: Sequence[str] = (), restricted: tuple[type[Step], ...] = ()) -> Callable[[C], C]:
    """Let members have a command over SSH; any other command is for the operator on the host.

    `without` names parameters that members do not have. A restricted session runs the command only at the
    steps in `restricted`, which it leads out of.
    """

    def declare(command: C) -> C:
        _members[command] = MemberTerms(frozenset(without), restricted)
        return command

    return declare


def terms_of(command: click.Command) -> MemberTerms | None:
    """Return how members have a command; None if they do not."""
    return _members.get(command)


def is_account_option(parameter: click.Parameter) -> bool:
    """Return whether this is the option `--account`."""
    return parameter.callback is _remember_account


def examples(*lines: str) -> str:
    """Format the examples at the end of a command's help."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", heading, *(f"  {line}" for line in lines), ""])
