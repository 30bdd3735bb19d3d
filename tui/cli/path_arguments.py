"""Paths and files given on the command line."""

import io
from pathlib import Path
from typing import Any

import click
import platformdirs

from data.rules.safe_text import safe
from data.storage.files import open_plain
from tui.cli.streams import streams

_LONGEST = 1_000
"""Longest path, in characters: every message can show all of it."""


def default_home() -> Path:
    """Return the default home: the platform's data directory."""
    try:
        return Path(platformdirs.user_data_dir("twofold", appauthor=False))
    except RuntimeError:
        raise click.UsageError(
            "HOME is not set and this user has no entry in the password database. Name the directory of the "
            "state with --home DIR or TWOFOLD_HOME."
        ) from None


class PathType(click.Path):
    """A path that can be shown as it is: not too long, and without characters that a terminal acts on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a path that cannot be shown, before it is looked up."""
        text = str(value)
        if len(text) > _LONGEST:
            self.fail(f"{safe(text, 40)} is longer than {_LONGEST} characters.", param, ctx)
        if safe(text, _LONGEST) != text:
            self.fail(
                f"{safe(text)} contains characters that cannot be shown. Choose another name.", param, ctx
            )
        return super().convert(value, param, ctx)


class NamedFile(click.ParamType[str]):
    """A word that names a file, or - for standard input; the command opens it itself."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the word."""
        return value


class StandardInput(click.ParamType[Any]):
    """The word -, which stands for standard input: members have no files on the server."""

    name = "-"

    def __init__(self, host: click.ParamType[Any]) -> None:
        """Take the place of `host`, the type of the same parameter on the host."""
        self._host = host

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse anything but -."""
        if str(value) != "-":
            self.fail(f"{safe(value, 40)} is not on the server. Give - and send the file: < FILE", param, ctx)
        if isinstance(self._host, click.File):
            return io.TextIOWrapper(streams().stdin, "utf-8")
        return Path("-") if isinstance(self._host, click.Path) else "-"


def names_file(parameter: click.Parameter) -> bool:
    """Return whether a parameter names a file or directory."""
    return isinstance(parameter.type, click.Path | click.File | NamedFile)


class TextFile(click.File):
    """Text in UTF-8: standard input for -, or a plain file, so that reading never blocks."""

    def __init__(self) -> None:
        super().__init__("r", encoding="utf-8")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse anything but a plain file before it is opened for reading."""
        if value != "-":
            try:
                open_plain(Path(value)).close()
            except OSError as error:
                self.fail(f"{safe(value)}: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)
