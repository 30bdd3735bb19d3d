"""A QR code in half blocks: two modules to a character cell."""

from collections.abc import Sequence

import segno
from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

BORDER = 2
"""Light modules around the code: fewer than the standard's four, but enough for scanners on a screen."""
_DARK, _LIGHT = "#000000", "#ffffff"
_CELLS = {
    # A cell that is dark above and below is drawn as one block, so that no font leaves a gap in it.
    (1, 1): ("█", Style(color=_DARK, bgcolor=_DARK)),
    (1, 0): ("▀", Style(color=_DARK, bgcolor=_LIGHT)),
    (0, 1): ("▄", Style(color=_DARK, bgcolor=_LIGHT)),
    (0, 0): (" ", Style(color=_DARK, bgcolor=_LIGHT)),
}


class QrCode(Widget):
    """Shows a text as a QR code, black on white in every theme."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._strips = _draw(text)
        self.needs = Size(self._strips[0].cell_length, len(self._strips))
        self.least = self.needs - Size(0, 1)
        """What it needs alone: the last row is all border, and one light module stays above it."""
        self.styles.width, self.styles.height = self.needs

    def fits(self, room: Size) -> bool:
        """Whether the code can be scanned when nothing else is shown."""
        return room.width >= self.least.width and room.height >= self.least.height

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return no filters, so that the code stays black on white."""
        return ()

    def render_line(self, y: int) -> Strip:
        """Draw one line of cells."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)


def _draw(text: str) -> list[Strip]:
    code = segno.make(text, error="l", micro=False, boost_error=False)
    rows = [tuple(int(bool(module)) for module in row) for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append((0,) * len(rows[0]))
    return [
        Strip([Segment(*_CELLS[pair]) for pair in zip(upper, lower, strict=True)])
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
