"""`twofold help` and `completion`: the manual, the help of each command, and what a shell completes."""

import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import click
from click.shell_completion import CompletionItem, get_completion_class

from data.rules.safe_text import safe
from tui import manual
from tui.cli.command_groups import examples, for_members
from tui.cli.man_page import man_page
from tui.cli.streams import echo, streams

_PROGRAM = "twofold"
_WIDEST = 100
"""Columns beyond which lines are hard to read."""


def _complete(context: click.Context, _argument: click.Parameter, typed: str) -> list[CompletionItem]:
    """Offer pages and commands, and after a group's name its commands."""
    try:
        names = _names_in(_context_of(context, context.params.get("words") or ()))
    except click.UsageError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(typed)]


@for_members(without=["man"])
@click.command(
    short_help="Read the manual, or the help of a command.",
    epilog=examples(
        "twofold help",
        "twofold help lost-phone",
        "twofold help user add",
        "twofold help --man > /usr/local/share/man/man1/twofold.1",
    ),
)
@click.argument("words", metavar="[TOPIC | COMMAND]", nargs=-1, shell_complete=_complete)
@click.option("--man", is_flag=True, help="Print the man page of all commands.")
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...], man: bool) -> None:
    """Read a page of the manual, or the help of a command.

    Without an argument, the pages are listed; over SSH, the commands first. A page is named as in the list,
    by its file (policy.md), by its title, or by what it explains (principals, krl, jumps, targets), in
    capitals or not. If a page and a command share a name, the page is shown; `twofold COMMAND --help` shows
    the help of the command.
    """
    if man:
        echo(man_page(_context_of(context, ())), nl=False)
    elif not words:
        if _program(context) != _PROGRAM:
            echo(f"{_context_of(context, ()).get_help()}\n")
        echo(_list_of_pages(context))
    elif topic := manual.find(" ".join(words)):
        _show(topic, pages=streams().stdout is sys.stdout)
    else:
        echo(_context_of(context, words).get_help())


def _show(topic: str, *, pages: bool) -> None:
    """Print a page as it is written; on a terminal its lines are broken to fit, and the host has a pager."""
    columns = streams().columns
    if columns is None or not streams().stdout.isatty():
        echo(manual.page(topic), nl=False)
        return
    page = manual.wrapped(topic, min(columns, _WIDEST))
    if pages:
        click.echo_via_pager(page)
    else:
        echo(page, nl=False)


def _list_of_pages(context: click.Context) -> str:
    program = _program(context)
    formatter = context.make_formatter()
    with formatter.section("Pages of the manual"):
        formatter.write_dl(
            [(topic, f"{manual.title(topic)}. {manual.first_sentence(topic)}") for topic in manual.topics()]
        )
    formatter.write_paragraph()
    read = f"{program} help".lstrip()
    formatter.write_text(
        f"Read one with: {read} TOPIC. List the commands with: {program} --help."
        if program == _PROGRAM
        else f"Read one with: {read} TOPIC. See what a command does with: {read} COMMAND."
    )
    return formatter.getvalue().rstrip("\n")


def _context_of(present: click.Context, words: Sequence[str]) -> click.Context:
    """Return what `twofold WORDS` would run in.

    Raises:
        click.UsageError: when there is no such command.
    """
    root = present.find_root()
    context = click.Context(
        root.command,
        info_name=_program(present),
        terminal_width=root.terminal_width,
        max_content_width=root.max_content_width,
    )
    for word in words:
        group = context.command
        command = group.get_command(context, word) if isinstance(group, click.Group) else None
        if command is None:
            raise click.UsageError(_not_found(context, words, word), present)
        context = click.Context(command, parent=context, info_name=word)
    return context


def _program(present: click.Context) -> str:
    """Return what is typed before a command: `twofold` on the host."""
    return present.find_root().info_name or _PROGRAM


def _not_found(group: click.Context, words: Sequence[str], word: str) -> str:
    """Say what was not found, with the names that are near it."""
    said = f"The page or command {safe(' '.join(words))} was not found."
    program = _program(group)
    known = list(_names_in(group))
    near = get_close_matches(word, known) or [name for name in known if word and word in name]
    if not near:
        return f"{said} List the pages with: {program} help."
    path = group.command_path.removeprefix(program).lstrip()
    return f"{said} Did you mean {' or '.join(f'{path} {name}'.lstrip() for name in near[:3])}?"


def _names_in(context: click.Context) -> Iterator[str]:
    """Yield what can follow the words that were found: pages come first, and only at the beginning."""
    if context.parent is None:
        yield from (*manual.topics(), *manual.SUBJECTS)
    if isinstance(context.command, click.Group):
        yield from (name for name in context.command.list_commands(context) if name not in manual.topics())


@click.command(
    short_help="Print a completion script for bash, zsh or fish.",
    epilog=examples(
        "twofold completion bash > ~/.local/share/bash-completion/completions/twofold",
        'twofold completion zsh > "${fpath[1]}/_twofold"',
        "twofold completion fish > ~/.config/fish/completions/twofold.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that makes a shell complete commands, options and pages of the manual.

    Bash must be 4.4 or newer. Start a new shell after you have installed the script.
    """
    cls = get_completion_class(shell)
    assert cls is not None  # noqa: S101 - click has one for each choice.
    script = cls(context.find_root().command, {}, _PROGRAM, f"_{_PROGRAM.upper()}_COMPLETE")
    # `script.source()` would run whatever bash is here to see its version.
    echo(script.source_template % script.source_vars())
