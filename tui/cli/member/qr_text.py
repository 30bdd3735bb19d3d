"""A QR code as text: without colours, so what is light on a dark terminal is what is painted."""

import segno

_BORDERS = (4, 2, 1)
"""Light modules around the code: the standard's four where there is room, and one that still scans."""
_BLOCKS = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
"""Two modules to a character, one above the other; 1 is painted."""


def draw(text: str, columns: int | None, encoding: str, *, dark_on_light: bool) -> list[str]:
    """Return the lines of a code, with as much of a border as `columns` has room for.

    The lines are too long where not even the smallest border fits. Half blocks are used if the encoding has
    them, otherwise two signs for each module. The dark modules are painted for a terminal that is
    `dark_on_light`, otherwise the light ones.
    """
    code = segno.make(text, error="l", micro=False, boost_error=False)
    halves = _has_blocks(encoding)
    for border in _BORDERS:
        rows = [[bool(module) is dark_on_light for module in row] for row in code.matrix_iter(border=border)]
        lines = _in_halves(rows, dark_on_light) if halves else _in_signs(rows)
        if columns is None or len(lines[0]) <= columns:
            break
    return lines


def _has_blocks(encoding: str) -> bool:
    """Whether half blocks can be written, each in one cell: in the encodings of East Asia they take two."""
    blocks = "".join(_BLOCKS.values())
    try:
        written = blocks.encode(encoding)
    except UnicodeEncodeError:
        return False
    return written == blocks.encode() or len(written) == len(blocks)


def _in_halves(rows: list[list[bool]], dark_on_light: bool) -> list[str]:
    if len(rows) % 2:
        rows.append([not dark_on_light] * len(rows[0]))
    return [
        "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _in_signs(rows: list[list[bool]]) -> list[str]:
    return ["".join("##" if painted else "  " for painted in row) for row in rows]
