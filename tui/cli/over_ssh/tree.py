"""The commands of members: those of the host that are declared for members, and no file of the server."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, Final

import click

from data.operations.users import user_summaries
from data.operations.users.user_summaries import Profile
from data.rules.policy import Step
from tui.cli.command_groups import MemberTerms, examples, is_account_option, terms_of
from tui.cli.commands.me import me
from tui.cli.member.caller import MemberCaller
from tui.cli.over_ssh.examples import over_ssh
from tui.cli.path_arguments import StandardInput, names_file
from tui.cli.plain.command import plain
from tui.cli.streams import echo

PROGRAM: Final = "ssh gate"
"""What members type before a command, in examples."""
_OWN: Final = {"me": me, "plain": plain}
"""What members have and the operator has not."""
_EXAMPLES: Final = examples(
    f"{PROGRAM} me",
    f"{PROGRAM} user list --status enabled --json",
    f"{PROGRAM} user import - --yes < people.csv",
    f"{PROGRAM.replace('ssh', 'ssh -t')} user deactivate ben",
)
_ALWAYS: Final = ("help", "plain")
"""What a restricted session runs too."""
_FOR_EVERYONE: Final = (*_OWN, *_ALWAYS, "cert")
"""What whoever holds no role is offered."""


class MemberGroup(click.Group):
    """A group of members' commands; it knows those of the host by name."""

    on_host: frozenset[str] = frozenset()
    """The commands that only the operator has."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; refuse one that only the operator has."""
        if cmd_name in self.on_host:
            path = f"{ctx.command_path} {cmd_name}".removeprefix(ctx.find_root().command_path).strip()
            raise click.ClickException(f"`{path}` is only possible on the host. Ask its operator.")
        return super().get_command(ctx, cmd_name)


class MemberRoot(MemberGroup):
    """The members' root, which offers whoever holds no role what is their own; operations judge the rest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands that are offered."""
        names = super().list_commands(ctx)
        return [name for name in names if name in _FOR_EVERYONE] if _holds_no_role() else names

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show examples of what is offered."""
        if not _holds_no_role():
            super().format_epilog(ctx, formatter)


def _holds_no_role() -> bool:
    context = click.get_current_context(silent=True)
    here = context.obj if context else None
    if not isinstance(here, MemberCaller):
        return False
    mine = here.read(user_summaries.my_profile)
    return not isinstance(mine, Profile) or not mine.detail.roles


def member_tree(host: click.Group) -> MemberGroup:
    """Return the members' root: the commands of the host that they have, and their own."""
    root = _group(click.Context(host, info_name="twofold"), host, is_own=False, kind=MemberRoot)
    root.name, root.callback, root.params = PROGRAM, None, [_help_option()]
    root.help = "Two-factor authentication: what you and your roles may do, as commands over SSH."
    root.invoke_without_command, root.no_args_is_help, root.epilog = False, True, _EXAMPLES
    for name, own in _OWN.items():
        member = _member(click.Context(own, info_name=name), own, name, is_own=True)
        assert member is not None  # noqa: S101 - it is theirs.
        root.add_command(member, name)
    _say_as_typed(click.Context(root, info_name=PROGRAM), root)
    return root


def _member(
    context: click.Context, host: click.Command, name: str, *, is_own: bool = False
) -> click.Command | None:
    """Return a command or group as members have it; None if they do not."""
    if isinstance(host, click.Group):
        group = _group(context, host, is_own=is_own)
        return group if group.commands else None
    terms = terms_of(host)
    if terms is None and not is_own:
        return None
    return _command(host, copy(host), terms or MemberTerms(), is_open=name in _ALWAYS)


def _group(
    context: click.Context, host: click.Group, *, is_own: bool, kind: type[MemberGroup] = MemberGroup
) -> MemberGroup:
    found = {name: host.get_command(context, name) for name in host.list_commands(context)}
    members = {
        name: _member(click.Context(command, context, info_name=name), command, name, is_own=is_own)
        for name, command in found.items()
        if command is not None
    }
    group = kind(
        host.name,
        commands={name: command for name, command in members.items() if command is not None},
        invoke_without_command=host.invoke_without_command,
        help=host.help,
        short_help=host.short_help,
        epilog=host.epilog,
    )
    group.on_host = frozenset(name for name, command in members.items() if command is None)
    _command(host, group, MemberTerms())
    return group


def _command(
    host: click.Command, member: click.Command, terms: MemberTerms, *, is_open: bool = False
) -> click.Command:
    """Give a command what it has for members: no file, no account, and what the terms say."""
    kept: list[click.Parameter] = []
    absent: dict[str, object] = {}
    for parameter in host.params:
        if is_account_option(parameter):
            continue
        if not names_file(parameter) and parameter.name not in terms.without:
            kept.append(copy(parameter))
        elif parameter.name not in terms.without and _can_be_standard_input(parameter):
            kept.append(_from_standard_input(parameter))
        else:
            absent[parameter.name or ""] = False if getattr(parameter, "is_flag", False) else None
    member.params = [*kept, _help_option()]
    member.add_help_option = False
    if host.callback is not None:
        member.callback = _guarded(host.callback, absent, None if is_open else terms.restricted)
    return member


def _guarded(
    callback: Callable[..., Any], absent: dict[str, object], steps: tuple[type[Step], ...] | None
) -> Callable[..., Any]:
    """Have a command refused in a restricted session, except at `steps`; without those it always runs."""

    @wraps(callback)
    def run(*arguments: Any, **options: Any) -> Any:
        context = click.get_current_context()
        leads_on = isinstance(context.command, click.Group) and context.invoked_subcommand is not None
        if isinstance(context.obj, MemberCaller) and steps is not None and not leads_on:
            context.obj.refuse_unfinished(steps)
        return callback(*arguments, **absent, **options)

    return run


def _can_be_standard_input(parameter: click.Parameter) -> bool:
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


def _say_as_typed(root: click.Context, command: click.Command) -> None:
    """Put what members type in place of what the operator types, in all help below a command."""
    command.epilog = over_ssh(command.epilog, root)
    command.help = _as_typed(command.help)
    # click would cut the first sentence off; the first line is never.
    command.short_help = command.short_help or (command.help or "").partition("\n")[0].removesuffix(".") + "."
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            parameter.help = _as_typed(parameter.help)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _say_as_typed(root, inner)


def _as_typed(text: str | None) -> str | None:
    return text and text.replace("`twofold ", f"`{PROGRAM} ")
