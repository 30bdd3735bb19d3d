"""What the client's terminal is taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshserver.limits.limit_values import Limits
from sshserver.terminal.capabilities import Colours, clamp, colours_of, describe, is_usable, keeps_variable


@pytest.mark.parametrize(
    ("term", "colorterm", "colours"),
    [
        ("xterm-256color", "", Colours.INDEXED),
        ("xterm-256color", "truecolor", Colours.TRUE),
        ("tmux-256color", "24bit", Colours.TRUE),
        ("xterm-direct", "", Colours.TRUE),
        ("xterm-kitty", "", Colours.TRUE),
        ("xterm", "", Colours.SIXTEEN),
        ("linux", "", Colours.SIXTEEN),
        ("screen", "yes", Colours.SIXTEEN),
        ("vt100", "", Colours.NONE),
        ("vt220", "", Colours.NONE),
        ("xterm-mono", "", Colours.NONE),
        ("rxvt-m", "", Colours.NONE),
    ],
)
def test_colours_are_judged_from_term_and_colorterm(term, colorterm, colours):
    assert colours_of(term, colorterm) is colours


@pytest.mark.parametrize("term", ["", "dumb", "unknown", "-x", "a b", "x" * 65, "x\x1b[2J", "xterm\n"])
def test_unusable_terminals(term):
    assert not is_usable(term)


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "screen.xterm-256color", "rxvt-unicode+x"])
def test_any_well_formed_terminal_type_is_usable(term):
    assert is_usable(term)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_every_size_is_brought_within_bounds(columns, rows):
    clamped = clamp((columns, rows), Limits())
    assert 20 <= clamped[0] <= 500
    assert 5 <= clamped[1] <= 200


def test_a_size_that_was_not_said_is_80_by_24():
    assert clamp((0, 0), Limits()) == (80, 24)


def test_no_color_is_a_wish_of_the_client_unless_empty():
    assert describe("xterm", {"NO_COLOR": "1"}, (80, 24), Limits()).no_color
    assert not describe("xterm", {"NO_COLOR": ""}, (80, 24), Limits()).no_color


def test_the_language_is_the_clients():
    environment = {"LANG": "de_DE.UTF-8", "LC_ALL": "fr_FR.UTF-8"}
    assert describe("xterm", environment, (80, 24), Limits()).language == "fr_FR.UTF-8"


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "LC_CTYPE", "COLORTERM", "NO_COLOR"])
def test_kept_environment_variables(name):
    assert keeps_variable(name, "value", 0, Limits())
    assert not keeps_variable(name, "v" * 65, 0, Limits())
    assert not keeps_variable(name, "value", 16, Limits())
    assert not keeps_variable(name, "\x1b[2J", 0, Limits())


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PATH", "TERM", "LC_", "LANGUAGE", "TEXTUAL", "lang", "LC_ALL\n"]
)
def test_every_other_variable_is_ignored(name):
    assert not keeps_variable(name, "value", 0, Limits())
