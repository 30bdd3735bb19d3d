"""What the commands print: columns of cells, and escapes for what the terminal's encoding has not."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wcwidth

from tui.cli import text_tables
from tui.cli.commands import audit, user_list

WIDE = "\u5c71\u7530\u592a\u90ce M\u00fcller"
NAMES = [WIDE, "e\u0301ve", "\u0645\u06cc\u200c\u062e", "\u0ba8\u0bbf", "\u202eevil", "Plain"]


def fill(clinic) -> None:
    for number, name in enumerate(NAMES):
        given = ("--email", f"u{number}@klinik.local", "--name", name, "--practice", name)
        assert clinic("practice", "add", name).status == 0
        assert clinic("user", "add", f"u{number}", *given).status == 0


def starts(table: str, words: str) -> set[int]:
    """Return the cells in which the last column begins, of the lines where it says these words."""
    lines = [line for line in table.splitlines() if line.endswith(words)]
    assert lines
    return {wcwidth.wcswidth(line.removesuffix(words)) for line in lines}


def test_columns_are_as_wide_as_a_terminal_draws_them(clinic):
    fill(clinic)
    assert len(starts(clinic("user", "list").out, "  -")) == 1
    assert len(starts(clinic("practice", "list").out, "1      1")) == 1


ENCODINGS = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "koi8-r": {"PYTHONIOENCODING": "koi8-r"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "utf-8": {"LANG": "C"},
    "us-ascii": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


def run(home, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    program = Path(sys.executable).with_name("twofold")
    inherited = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return subprocess.run(
        [program, "--home", home, *arguments], env=inherited | environment, capture_output=True, check=False
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_the_terminal_cannot_show_is_escaped(home, clinic, monkeypatch, encoding):
    fill(clinic)

    def said(*arguments: str) -> bytes:
        stream = io.TextIOWrapper(io.BytesIO(), encoding)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            outcome = clinic(*arguments)
        assert outcome.status == 0, outcome.err
        stream.flush()
        return stream.buffer.getvalue()

    # Of one command the process itself finds the encoding out, by its environment.
    outcome = run(home, ENCODINGS[encoding], "user", "list")
    assert outcome.returncode == 0, outcome.stderr
    shown = WIDE.encode(encoding, "backslashreplace").decode(encoding)
    for table, end in ((outcome.stdout, "  -"), (said("practice", "list"), "1      1")):
        listed = table.decode(encoding)
        assert shown in listed
        assert "\\u202eevil" in listed
        assert len(starts(listed, end)) == 1
    for arguments in (
        ("user", "show", "u0"),
        ("practice", "rename", "Plain", "Pl\u00e4in"),
        ("audit", "list"),
    ):
        assert said(*arguments).decode(encoding)
    assert WIDE in said("user", "export").decode()


def test_an_error_is_escaped_too(home, clinic):
    fill(clinic)
    outcome = run(home, {"PYTHONIOENCODING": "ascii"}, "practice", "add", WIDE)
    assert (outcome.returncode, outcome.stdout) == (1, b"")
    assert b"The practice \\u5c71\\u7530\\u592a\\u90ce M\\xfcller already exists." in outcome.stderr


def test_long_lists_are_read_and_printed_page_by_page(clinic, monkeypatch):
    """They are what they would be at once: in order, complete, and one JSON document."""
    fill(clinic)
    rows = json.loads(clinic("audit", "list", "--limit", "0", "--json").out)
    people = clinic("user", "list").out
    for module in (audit, user_list):
        monkeypatch.setattr(module, "_PAGE", 3)
    monkeypatch.setattr(text_tables, "_PART", 4)
    for limit in (0, 3, 7):
        listed = clinic("audit", "list", "--limit", str(limit), "--json").out
        assert listed == json.dumps(rows[-limit:], indent=2) + "\n"
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    by_parts = clinic("user", "list").out
    assert [line.split() for line in by_parts.splitlines()] == [line.split() for line in people.splitlines()]
    assert clinic("user", "list", "--search", "nobody", "--json").out == "[]\n"
