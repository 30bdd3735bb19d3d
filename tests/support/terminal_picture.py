"""A terminal's screen drawn as a picture, as a phone's camera would see it."""

import pyte
import zxingcpp
from PIL import Image, ImageDraw

_CELL = (8, 16)
_NAMED = {
    "default": None,
    "black": "000000",
    "red": "cd0000",
    "green": "00cd00",
    "brown": "cdcd00",
    "blue": "0000ee",
    "magenta": "cd00cd",
    "cyan": "00cdcd",
    "white": "e5e5e5",
    "brightblack": "7f7f7f",
    "brightred": "ff0000",
    "brightgreen": "00ff00",
    "brightbrown": "ffff00",
    "brightblue": "5c5cff",
    "brightmagenta": "ff00ff",
    "brightcyan": "00ffff",
    "brightwhite": "ffffff",
}
"""The sixteen colours as xterm shows them, by pyte's names."""
_BLOCKS = {" ": (0.0, 0.0), "▀": (0.0, 0.5), "▄": (0.5, 1.0), "█": (0.0, 1.0), "#": (0.0, 1.0)}


def draw(screen: pyte.Screen) -> Image.Image:
    """Draw each cell's background and its half block; other characters are left out."""
    width, height = _CELL
    picture = Image.new("RGB", (screen.columns * width, screen.lines * height), "#202020")
    pen = ImageDraw.Draw(picture)
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            front, back = _colour(cell.fg, "c0c0c0"), _colour(cell.bg, "202020")
            if cell.reverse:
                front, back = back, front
            left, top = column * width, row * height
            pen.rectangle((left, top, left + width - 1, top + height - 1), fill=back)
            begin, end = _BLOCKS.get(cell.data, (0.0, 0.0))
            if end > begin:
                upper, lower = top + int(begin * height), top + int(end * height) - 1
                pen.rectangle((left, upper, left + width - 1, lower), fill=front)
    return picture


def read_qr(screen: pyte.Screen, *, inverted: bool = True) -> str | None:
    """Decode the QR code on a screen, even an `inverted` one; None when there is none that can be read."""
    code = zxingcpp.BarcodeFormat.QRCode
    found = zxingcpp.read_barcodes(draw(screen), formats=code, try_invert=inverted)
    return found[0].text if found else None


def _colour(name: str, default: str) -> str:
    return f"#{_NAMED.get(name, name) or default}"
