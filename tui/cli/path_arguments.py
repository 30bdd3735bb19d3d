"""Paths and files given on the command line."""

from pathlib import Path
from typing import Any

import click
import platformdirs

from data.rules.safe_text import safe
from data.storage.files import open_plain

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
