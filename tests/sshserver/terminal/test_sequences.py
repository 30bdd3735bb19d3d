"""Text and control sequences are told apart, in whatever pieces they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminal_answers import ANSWERS
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from sshserver.compat.textual_parser import InputParser
from sshserver.terminal.sequences import SequenceReader

KEYS = sorted(
    key for key in ANSI_SEQUENCES_KEYS if key.startswith("\x1b") and key not in {"\x1b", "\x1b\x1b"}
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def typed(parser, *pieces):
    """Return the keys that come of `pieces`."""
    messages = [message for piece in pieces for message in parser.feed(piece)]
    return [message for message in messages if isinstance(message, events.Key)]


@pytest.mark.parametrize("sequence", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_types_nothing_wherever_it_is_split(sequence):
    for cut in range(1, len(sequence)):
        parser = InputParser()
        keys = typed(parser, "ab", sequence[:cut], sequence[cut:], "cd")
        assert "".join(key.character or "" for key in keys) == "abcd"
        assert not parser.is_pending


@pytest.mark.parametrize("sequence", ANSWERS.values(), ids=ANSWERS.keys())
def test_answer_within_a_paste(sequence):
    """It is no part of it, wherever it is split."""
    for cut in range(1, len(sequence)):
        parser = InputParser()
        pieces = ["\x1b[200~ab", sequence[:cut], sequence[cut:], "cd\x1b[201~"]
        messages = [message for piece in pieces for message in parser.feed(piece)]
        assert [message.text for message in messages] == ["abcd"]


@pytest.mark.parametrize("sequence", KEYS, ids=repr)
def test_every_key_split_anywhere(sequence):
    for cut in range(1, len(sequence)):
        reader = SequenceReader()
        assert [*reader.feed(sequence[:cut]), *reader.feed(sequence[cut:])] == [sequence]


PIECES = st.lists(st.text(alphabet="\x1b[]OPMG_\\?>!$<:;0123459acdmntuyRS~ \x07\rü", max_size=12), max_size=8)


@given(PIECES)
def test_whatever_comes_the_parser_reads_the_next_key(pieces):
    parser = InputParser()
    for piece in (*pieces, "\x07\x1b[201~"):
        list(parser.feed(piece))
    assert [message.key for message in typed(parser, "Z")] == ["Z"]


@given(PIECES)
def test_however_a_stream_is_split_it_is_read_alike(pieces):
    reader, at_once = SequenceReader(), SequenceReader()
    parts = [part for piece in pieces for part in reader.feed(piece)]
    assert "".join(parts) == "".join(at_once.feed("".join(pieces)))


def test_esc_alone_and_before_another_key():
    clock = Clock()
    reader = SequenceReader(clock)
    assert list(reader.feed("\x1b")) == []
    assert reader.give_up() == ""
    clock.now += 1
    assert reader.give_up() == "\x1b"
    assert not reader.is_pending
    assert list(reader.feed("\x1b\x1b\x1b[A")) == ["\x1b", "\x1b", "\x1b[A"]


@pytest.mark.parametrize("sequence", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_pause_within_an_answer_types_nothing(sequence):
    for cut in range(2, len(sequence)):
        clock = Clock()
        reader = SequenceReader(clock)
        parts = list(reader.feed(sequence[:cut]))
        clock.now += 1
        assert reader.give_up() == ""
        parts += reader.feed(sequence[cut:])
        assert "".join(parts) in {sequence, ""}


@pytest.mark.parametrize(
    "begun", ["\x1b[", "\x1b[12", "\x1bO", "\x1bP>|", "\x1b]11;rgb", "\x1b_G", "\x1b]11;\x1b"]
)
def test_incomplete_sequence_is_forgotten(begun):
    clock = Clock()
    reader = SequenceReader(clock)
    assert list(reader.feed(begun)) == []
    clock.now += 3
    assert reader.give_up() == ""
    assert not reader.is_pending
    assert list(reader.feed("123456\r")) == ["123456\r"]


@pytest.mark.parametrize("begun", ["\x1b[12", "\x1bO5", "\x1bP>|xte", "\x1b]11;rgb", "\x1b_Gi"])
def test_a_control_character_breaks_a_sequence_off(begun):
    assert list(SequenceReader().feed(f"{begun}\r123")) == ["\r123"]


@pytest.mark.parametrize("begun", ["\x1b]0;", "\x1b["])
def test_an_endless_sequence_takes_no_room(begun):
    reader = SequenceReader()
    for piece in (begun, *["1" * 1000] * 100):
        assert list(reader.feed(piece)) == []
    assert len(reader._held) <= 64
    assert list(reader.feed("\x1b\x1b[Ax")) in (["\x1b", "\x1b[A", "x"], ["\x1b[A", "x"])


def test_words_after_esc_are_no_string():
    """Who leaves a dialog by Esc and types on over a slow line loses nothing."""
    assert "".join(SequenceReader().feed("\x1bPassword")) == "\x1bPassword"
    assert "".join(SequenceReader().feed("\x1b_under")) == "\x1b_under"


@pytest.mark.parametrize("line", ["\r", "\n", "\r\n"], ids=["CR", "LF", "CR LF"])
def test_line_endings_are_one_enter(line):
    for pieces in ([f"a{line}b{line}{line}c"], list(f"a{line}b{line}{line}c")):
        keys = [key.key for key in typed(InputParser(), *pieces)]
        assert keys == ["a", "enter", "b", "enter", "enter", "c"]


def test_a_line_feed_within_a_paste_is_text():
    messages = list(InputParser().feed("\x1b[200~a\nb\r\nc\x1b[201~"))
    assert [message.text for message in messages] == ["a\nb\r\nc"]


@pytest.mark.parametrize(
    ("sequence", "key"),
    [("\x1b[27;5;103~", "ctrl+g"), ("\x1b[27;2;65~", "A"), ("\x1b[103;5u", "ctrl+g"), ("\x1ba", "alt+a")],
)
def test_a_key_with_modifiers_is_a_key(sequence, key):
    assert [message.key for message in typed(InputParser(), sequence)] == [key]
