"""Lines whose continuations are indented."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from tui.widgets.hanging_lines import HangingLines


def drawn(text: str, width: int) -> list[str]:
    lines = Console(width=width, legacy_windows=False, _environ={}).render_lines(HangingLines(text))
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize("width", [5, 12, 13, 40])
@pytest.mark.parametrize(
    "text",
    [
        "one two three four five six",
        "a short word, then aVeryLongOneThatNoLineCanHold and another",
        "\u5c71\u7530 \u592a\u90ce\u5c71\u7530\u592a\u90ce a\u5c71\u7530\u592a\u90ce",
        "1\n\n2 two two two",
    ],
)
def test_nothing_is_lost_and_nothing_too_wide(text, width):
    lines = drawn(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    firsts = [line for line in lines if not line.startswith("  ")]
    assert len(firsts) == text.count("\n") + 1


def test_where_lines_break():
    assert drawn("! one two three\n! four", 9) == ["! one two", "  three", "! four"]
    assert drawn("! one two three four", 9) == ["! one two", "  three", "  four"]
