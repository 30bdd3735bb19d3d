"""Groups of commands: how they find their commands, and in which account these act."""

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

_ACCOUNT = "twofold.account"


def load(place: str) -> Any:
    """Import what `module:name` names, and leave all that was imported out of the search for garbage.

    There is none among it, and looking takes a sixth of the time.
    """
    module, _, name = place.partition(":")
    gc.disable()
    try:
        return getattr(import_module(module), name)
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """A group that imports a command's module when it is asked for: most need little of the program."""

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        """Offer commands by their names, each at a place `module:function`."""
        super().__init__(*arguments, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature.
        """Name the commands."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command at its first use."""
        if cmd_name in self._places and cmd_name not in self.commands:
            self.add_command(load(self._places[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)


class InAccount(click.Group):
    """A group whose commands act in one account: each takes `--account`, needed where there are several."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Take a command in, and have it say in which account it acts."""
        if not isinstance(cmd, click.Group):
            cmd.params.append(
                click.Option(
                    ["--account"],
                    metavar="NAME",
                    expose_value=False,
                    callback=_remember_account,
                    help="The account to act in, where there are several.",
                )
            )
        super().add_command(cmd, name)


class LazyInAccount(LazyGroup, InAccount):
    """A group that imports its commands when they are asked for; these act in one account."""


def _remember_account(context: click.Context, _option: click.Parameter, name: str | None) -> None:
    context.meta[_ACCOUNT] = name


def named_account() -> str | None:
    """Return the account that the present command was told to act in; None where it was told none."""
    context = click.get_current_context(silent=True)
    name = context.meta.get(_ACCOUNT) if context else None
    return None if name is None else str(name)


def examples(*lines: str) -> str:
    """Write the end of a command's help."""
    heading = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", heading, *(f"  {line}" for line in lines), ""])
