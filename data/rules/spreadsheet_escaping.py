"""Cells that a spreadsheet takes for text, whoever wrote what is in them."""

_FORMULA_STARTS = frozenset("=+-@\t\r\n")
"""What a cell begins with that spreadsheets take for a formula, or skip on the way to one."""
_TEXT_MARK = "'"


def neutralised(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run: it then shows the cell as text.

    What `plain` would take an apostrophe from gets another one, so that `plain` gives every cell back.
    """
    return _TEXT_MARK + cell if _starts_a_formula(cell.lstrip(_TEXT_MARK)) else cell


def plain(cell: str) -> str:
    """Take the apostrophe of `neutralised` away again."""
    return cell[1:] if cell[:1] == _TEXT_MARK and _starts_a_formula(cell.lstrip(_TEXT_MARK)) else cell


def _starts_a_formula(cell: str) -> bool:
    return any(start in _FORMULA_STARTS for start in (cell[:1], cell.lstrip()[:1]))
