"""Lines of text whose continuations are indented, so that it is seen where each begins."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.text import Text

_INDENT = 2


class HangingLines:
    """Lines that are broken again for each width they are drawn at."""

    def __init__(self, lines: str | Text) -> None:
        self._text = Text(lines) if isinstance(lines, str) else lines.copy()
        self._text.overflow = "fold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._text.split("\n", allow_blank=True):
            first = line.wrap(console, options.max_width)[0]
            yield first
            rest = line.plain[len(first) :].lstrip(" ")
            if rest:
                yield Padding(line[-len(rest) :], (0, 0, 0, _INDENT))
