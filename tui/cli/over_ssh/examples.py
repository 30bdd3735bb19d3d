"""Examples for the host, as members type them: over SSH, with files of theirs as standard input."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import click

from tui.cli.confirmation import YesOption
from tui.cli.path_arguments import StandardInput

_HOST: Final = "twofold "
_TAIL: Final = re.compile(r"\s+(?:>>?|\|)\s.*$")
"""What the shell of whoever types an example does with its output."""
_OUTPUT: Final = "--output"
_HEADING: Final = re.compile(r"Examples?:")


def over_ssh(epilog: str | None, root: click.Context) -> str | None:
    """Return the examples of an epilog that members can run; None if there are none and nothing else."""
    if epilog is None:
        return None
    lines: list[str] = []
    for line in epilog.splitlines():
        if line.startswith(f"  {_HOST}"):
            lines += (f"  {each}" for each in _typed(line.strip(), root))
        else:
            lines.append(line)
    shown = sum(line.startswith("  ") for line in lines)
    headed = (_HEADING.sub("Example:" if shown == 1 else "Examples:", line) for line in lines)
    return "\n".join(headed) + "\n" if shown else None


def _typed(example: str, root: click.Context) -> Iterator[str]:
    """Yield the example as it is typed, unless members lack its command, an option or the file."""
    tail = found.group() if (found := _TAIL.search(example)) else ""
    words = shlex.split(example.removeprefix(_HOST).removesuffix(tail))
    if _OUTPUT in words:
        place = words.index(_OUTPUT)
        tail = f" > {words[place + 1]}"
        del words[place : place + 2]
    try:
        files, asks = _take_files(words, root)
    except click.ClickException:
        return
    if len(files) > 1:
        return
    program = root.info_name or ""
    if files and asks:
        words.append("--yes")
    elif asks:
        program = program.replace("ssh", "ssh -t", 1)
    given = "".join(f" < {file}" for file in files)
    yield f"{program} {_quoted(words)}{given}{tail}"


def _take_files(words: list[str], root: click.Context) -> tuple[list[str], bool]:
    """Put - in the place of each word that names a file; return those words, and whether a y is asked for.

    Raises:
        click.ClickException: when members have no such command or option.
    """
    context, rest = root, list(words)
    while isinstance(context.command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        command = context.command.get_command(context, name)
        if command is None:
            raise click.UsageError(name)
        context = click.Context(command, context, info_name=name)
    values, _, _ = context.command.make_parser(context).parse_args(rest)
    files: list[str] = []
    for parameter in context.command.params:
        if isinstance(parameter.type, StandardInput) and (value := values.get(parameter.name or "")):
            files += [value] if isinstance(value, str) else value
    for file in files:
        words[words.index(file)] = "-"
    asks = any(isinstance(each, YesOption) and each.asks for each in context.command.params)
    return [file for file in files if file != "-"], asks and not {"--yes", "--dry-run"} & {*words}


def _quoted(words: Sequence[str]) -> str:
    """Quote words for the shell of whoever types them, and for the server, which splits them again."""
    once = " ".join(word if shlex.quote(word) == word else f'"{word}"' for word in words)
    return once if '"' not in once else shlex.quote(once)
