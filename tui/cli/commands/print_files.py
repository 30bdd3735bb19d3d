"""`twofold print-unit` and `print-containerfile`: how to run the server, as files to start from."""

import shlex
import sys
from importlib.resources import files
from pathlib import Path

import click

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


@click.command(
    short_help="Print a hardened unit for systemd.",
    epilog="\b\nExample:\n  twofold print-unit > /etc/systemd/system/twofold.service\n",
)
def print_unit() -> None:
    """Print a hardened unit for systemd; what to do once stands at its top.

    The master key reaches the service as a credential that nobody else can read.
    """
    program = Path(sys.executable).with_name("twofold")
    # A program in someone's home must be seen by the service; everything else there need not be.
    in_a_home = any(program.is_relative_to(home) for home in _HOMES)
    text = _text("twofold.service").replace("@PROTECT_HOME@", "read-only" if in_a_home else "yes")
    text = text.replace("@SHELL_PROGRAM@", shlex.quote(str(program)))
    click.echo(text.replace("@PROGRAM@", _as_unit_word(program)), nl=False)


@click.command(
    short_help="Print a Containerfile to start from.",
    epilog="\b\nExample:\n  twofold print-containerfile > Containerfile\n",
)
def print_containerfile() -> None:
    """Print a Containerfile; how to build and run it stands at its top."""
    click.echo(_text("Containerfile"), nl=False)


def _as_unit_word(path: Path) -> str:
    """Write a path as one word of a unit (systemd.unit(5)); quotes in it are not taken."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if " " in text else text


def _text(name: str) -> str:
    return files("tui").joinpath("deploy", name).read_text("utf-8")
