"""The man page of `twofold`, made from the help of its commands (man(7), groff_man(7))."""

from collections.abc import Iterator
from importlib import metadata
from inspect import cleandoc

import click

_SIGNS = {ord("\\"): r"\(rs", ord("-"): r"\-", ord("'"): r"\(aq", ord("`"): r"\(ga"} | {
    ord("^"): r"\(ha",
    ord("~"): r"\(ti",
}
"""Characters that roff would act on, or replace with others."""
_NO_FILL = "\b"
"""The line with which click marks a paragraph whose lines stay as they are."""
_END = (
    ".SH EXIT STATUS",
    *(".TP", "0", "Success."),
    *(".TP", "1", "The operation failed or was refused."),
    *(".TP", "2", "The command was used wrongly."),
    *(".SH SEE ALSO", r"The manual: \fBtwofold help\fR lists its pages."),
)


def man_page(context: click.Context) -> str:
    """Write the man page of the program that `context` would run."""
    program = context.info_name or ""
    lines = [
        f'.TH {program.upper()} 1 "" "{program} {metadata.version(program)}"',
        *(".SH NAME", f"{program} \\- {_escape(context.command.get_short_help_str(1_000).rstrip('.'))}"),
        *(".SH SYNOPSIS", _usage(context)),
        *(".SH DESCRIPTION", *_body(context)),
        *(".SH COMMANDS", *_commands(context)),
        *_END,
    ]
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> Iterator[str]:
    """Write a section about each command; those of a group follow it."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            own = click.Context(command, parent=context, info_name=name)
            yield f".SS {_escape(own.command_path)}"
            yield _usage(own)
            yield from _body(own)
            yield from _commands(own)


def _body(context: click.Context) -> Iterator[str]:
    """Write what a command does, its options and its examples."""
    command = context.command
    yield from _text(command.help or "")
    for option in command.params:
        if record := option.get_help_record(context):
            names, words = record
            yield from (".TP", f"\\fB{_escape(names)}\\fR", _escape(words))
    yield from _text(command.epilog or "")


def _usage(context: click.Context) -> str:
    pieces = context.command.collect_usage_pieces(context)
    return f"\\fB{_escape(context.command_path)}\\fR {_escape(' '.join(pieces))}"


def _text(words: str) -> Iterator[str]:
    """Write paragraphs; those that click does not fill are not filled here either."""
    for block in filter(None, cleandoc(words).split("\n\n")):
        first, *rest = block.splitlines()
        if first == _NO_FILL:
            yield from (".PP", ".nf", *map(_escape, rest), ".fi")
        else:
            yield from (".PP", _escape(" ".join([first, *rest])))


def _escape(text: str) -> str:
    """Write text in ASCII so that roff prints it as it is."""
    escaped = text.translate(_SIGNS)
    plain = "".join(sign if sign.isascii() else f"\\[u{ord(sign):04X}]" for sign in escaped)
    return f"\\&{plain}" if plain.startswith(".") else plain
