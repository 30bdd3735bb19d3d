"""The commands of members: those of the host that are declared for members, and no file of the server."""

import shlex
from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any, Final

import click

from tui.cli.command_groups import is_account_option, terms_of
from tui.cli.path_arguments import StandardInput, names_file
from tui.cli.streams import echo

PROGRAM: Final = "ssh gate"
"""What members type before a command, in examples."""
_ON_HOST: Final = "is only possible on the host. Ask the operator of the server."


class MemberGroup(click.Group):
    """A group of members' commands; it knows those of the host by name."""

    def __init__(self, *arguments: Any, on_host: Iterable[str], **options: Any) -> None:
        """Take the names of the host's commands that members do not have."""
        super().__init__(*arguments, **options)
        self._on_host = frozenset(on_host)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; refuse one that only the operator has."""
        if cmd_name in self._on_host:
            path = f"{ctx.command_path} {cmd_name}".removeprefix(ctx.find_root().command_path).strip()
            raise click.ClickException(f"`{path}` {_ON_HOST}")
        return super().get_command(ctx, cmd_name)


def member_tree(host: click.Group, own: Mapping[str, click.Command]) -> MemberGroup:
    """Return the members' root: the host's commands that they have, and their `own`."""
    root = _group(click.Context(host, info_name="twofold"), host, PROGRAM)
    root.epilog, root.params = None, []
    for name, command in own.items():
        root.add_command(_command(command), name)
    root.params.append(_help_option())
    return root


def _group(context: click.Context, host: click.Group, name: str) -> MemberGroup:
    commands: dict[str, click.Command] = {}
    on_host: list[str] = []
    for each in host.list_commands(context):
        found = host.get_command(context, each)
        assert found is not None  # noqa: S101 - it was listed.
        inner: click.Command | None
        if isinstance(found, click.Group):
            inner = _group(click.Context(found, context, each), found, each)
            inner = inner if inner.commands else None
        else:
            inner = _command(found) if terms_of(found) else None
        if inner is None:
            on_host.append(each)
        else:
            commands[each] = inner
    return MemberGroup(
        name,
        commands=commands,
        on_host=on_host,
        help=host.help,
        short_help=host.short_help,
        epilog=over_ssh(host.epilog),
        params=[_help_option()],
        add_help_option=False,
    )


def _command(host: click.Command) -> click.Command:
    """Return a copy without the parameters that name files, the account, and those declared so."""
    terms = terms_of(host)
    without = terms.without if terms else frozenset()
    member = copy(host)
    kept: list[click.Parameter] = []
    absent: dict[str, object] = {}
    for parameter in host.params:
        if is_account_option(parameter):
            continue
        is_file = names_file(parameter)
        if parameter.name in without or (is_file and not takes_standard_input(parameter)):
            absent[parameter.name or ""] = False if getattr(parameter, "is_flag", False) else None
        else:
            kept.append(_from_standard_input(parameter) if is_file else parameter)
    member.params = [*kept, _help_option()]
    member.add_help_option = False
    member.epilog = over_ssh(host.epilog)
    assert host.callback is not None  # noqa: S101 - every command has one.
    member.callback = partial(host.callback, **absent) if absent else host.callback
    return member


def takes_standard_input(parameter: click.Parameter) -> bool:
    """Return whether a parameter that names a file can name standard input instead."""
    return not isinstance(parameter.type, click.Path) or parameter.type.allow_dash


def _from_standard_input(host: click.Parameter) -> click.Parameter:
    member = copy(host)
    member.type = StandardInput(host.type)
    member.metavar = "-"
    return member


def _help_option() -> click.Option:
    return click.Option(
        ["--help"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_help,
        help="Show this message and exit.",
    )


def _show_help(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        echo(context.get_help())
        context.exit()


def over_ssh(epilog: str | None) -> str | None:
    """Return examples as members type them."""
    if epilog is None:
        return None
    return "\n".join(map(_example_over_ssh, epilog.splitlines())) + "\n"


def _example_over_ssh(line: str) -> str:
    indent, program, words = line.partition("twofold ")
    if not program or indent.strip():
        return line
    quoted = any(shlex.quote(word) != word for word in shlex.split(words))
    return f"{indent}{PROGRAM} {chr(39) + words + chr(39) if quoted else words}"
