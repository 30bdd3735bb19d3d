"""Cells that a spreadsheet takes for text, whoever wrote what is in them."""

_FORMULA_STARTS = frozenset("=+-@\t\r\n")
"""What a cell begins with that spreadsheets take for a formula, or skip on the way to one."""
_TEXT_MARK = "'"


def neutralised(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run: it then shows the cell as text."""
    starts_a_formula = cell[:1] in _FORMULA_STARTS or cell.lstrip()[:1] in _FORMULA_STARTS
    return _TEXT_MARK + cell if cell and starts_a_formula else cell


def plain(cell: str) -> str:
    """Take the apostrophe of `neutralised` away again."""
    rest = cell[1:]
    return rest if cell[:1] == _TEXT_MARK and neutralised(rest) == cell else cell
