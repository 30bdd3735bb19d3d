"""Cells that spreadsheets would run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.safe_text import neutralised, plain_cell


@pytest.mark.feature("export-formulas")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\t=", "  @", *"＝＋－＠"])  # noqa: RUF001
def test_what_begins_like_a_formula_gets_an_apostrophe(start):
    assert neutralised(f"{start}SUM(A1)") == f"'{start}SUM(A1)"


@pytest.mark.parametrize("cell", ["", "anna", "a=b", "O'Neill", "'quoted'", " two words", "1-2", "ä+"])
def test_other_cells_stay_as_they_are(cell):
    assert neutralised(cell) == cell
    assert plain_cell(cell) == cell


@pytest.mark.feature("export-formulas")
@given(st.text() | st.text(alphabet="'=+ a\t"))
def test_neutralised_cells_can_be_restored(cell):
    """No cell begins like a formula, and every cell can be taken back."""
    made = neutralised(cell)
    assert made[:1] not in set("=+-@＝＋－＠\t\r\n")  # noqa: RUF001
    assert plain_cell(made) == cell
