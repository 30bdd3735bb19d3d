"""`twofold print-unit` and `print-containerfile`: files for running the server."""

import shlex
import sys
from importlib.resources import files
from pathlib import Path

import click

from tui.cli.streams import echo

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@click.command(
    short_help="Print a hardened systemd unit.",
    epilog="\b\nExample:\n  twofold print-unit > /etc/systemd/system/twofold.service\n",
)
def print_unit() -> None:
    """Print a hardened systemd unit; the comment at its top explains how to install it.

    The service gets the master key as a credential that no one else can read.
    """
    program = Path(sys.executable).with_name("twofold")
    # The service must be able to read its program, even in someone's home; otherwise it sees no homes.
    in_a_home = any(program.is_relative_to(home) for home in _HOMES)
    text = _text("twofold.service").replace("@PROTECT_HOME@", "read-only" if in_a_home else "yes")
    text = text.replace("@SHELL_PROGRAM@", shlex.quote(str(program)))
    echo(text.replace("@PROGRAM@", _as_unit_word(program)), nl=False)


@click.command(
    short_help="Print a Containerfile to start from.",
    epilog="\b\nExample:\n  twofold print-containerfile > Containerfile\n",
)
def print_containerfile() -> None:
    """Print a Containerfile; the comment at its top explains how to build and run it."""
    echo(_text("Containerfile"), nl=False)


def _as_unit_word(path: Path) -> str:
    """Write a path as one word of a unit (systemd.unit(5)); the path must not contain quotes."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text


def _text(name: str) -> str:
    return files("tui").joinpath("deploy", name).read_text("utf-8")
