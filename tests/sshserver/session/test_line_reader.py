"""Questions over a channel: answers are edited, echoed and bounded, and come up nowhere else."""

import asyncio

import pytest

from sshserver.session.line_reader import LineReader

UP, LEFT, PAGE_UP, REDRAW = "\x1b[A", "\x1b[D", "\x1b[5~", "\x12"


class Typist:
    """A terminal whose questions are asked from another thread, as by a command."""

    def __init__(self, term: str | None = "xterm", columns: int = 40) -> None:
        self.shown = b""
        self.interrupts = 0
        self.pauses: list[bool] = []
        self.charged: list[float] = []
        self.is_full = False
        self.reader = LineReader(
            self._show,
            term=term,
            columns=columns,
            interrupt=self._interrupt,
            pause=self.pauses.append,
            charge=self._charge,
            is_full=lambda: self.is_full,
        )

    def _show(self, data: bytes) -> None:
        self.shown += data

    def _interrupt(self) -> None:
        self.interrupts += 1

    def _charge(self, seconds: float) -> float:
        self.charged.append(seconds)
        return 0.0

    def ask(self, prompt: str = "? ", hidden: bool = False, kept: bool = False) -> str | None:
        """Ask in this thread; None if Ctrl+C was pressed, which must not reach the test's event loop."""
        try:
            return self.reader.ask(prompt, hidden, kept)
        except KeyboardInterrupt:
            return None

    async def shows(self, words: bytes, seen: int = 0) -> None:
        """Wait until words are shown after what was seen before."""
        while words not in self.shown[seen:]:
            await asyncio.sleep(0.001)

    async def answers(
        self, typed: str | bytes, prompt: str = "? ", *, hidden=False, kept=False
    ) -> str | None:
        """Have a question asked, then type."""
        seen = len(self.shown)
        asking = asyncio.create_task(asyncio.to_thread(self.ask, prompt, hidden, kept))
        if prompt:
            await self.shows(prompt.encode(), seen)
        self.reader.feed(typed if isinstance(typed, bytes) else typed.encode())
        return await asking


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("user list\r", "user list"),
        ("usex\x7fr list\r", "user list"),
        (f"ser list{LEFT * 8}u\r", "user list"),
        ("nonsense\x15user list\r", "user list"),
        ("user list all\x17\x7f\r", "user list"),
        (f"user{PAGE_UP} list\r", "user list"),
        ("user\x1b]11;rgb:0000/0000/0000\x1b\\ list\x00\x00\n", "user list"),
        (b"ben \xff\xfe\r", "ben \ufffd\ufffd"),
    ],
)
async def test_a_line_is_edited(typed, line):
    assert await Typist().answers(typed) == line


async def test_no_escape_sequence_and_no_redrawing_where_the_cursor_cannot_be_placed():
    typist = Typist("dumb")
    command = "user list --practice 'the one by the river'"
    assert await typist.answers(f"usex\x7f{command[3:]}{LEFT}\x02\x01\r") == command
    assert typist.shown == f"? usex\b \b{command[3:]}\r\n".encode()
    await typist.answers(f"first{UP}\x10\r", kept=True)
    assert await typist.answers("\x10\r", kept=True) == "first"
    assert b"\x1b" not in typist.shown


async def test_history_holds_commands_and_no_answers():
    typist = Typist()
    await typist.answers("user list\r", kept=True)
    await typist.answers("an answer\r")
    await typist.answers("a password\x15\r", hidden=True)
    assert await typist.answers(f"{UP}\x19\r", kept=True) == "user list"
    assert await typist.answers(f"{UP}{UP}{UP}\r", kept=True) == "user list"
    assert await typist.answers(f"{UP}\x19\r") == ""


async def test_a_hidden_answer_is_not_shown():
    typist = Typist()
    assert await typist.answers("correct horse\x7f\x12\r", "Password: ", hidden=True) == "correct hors"
    assert typist.shown == b"Password: \r\n"


async def test_interrupting_and_ending():
    typist = Typist()
    assert await typist.answers("half\x03") is None
    with pytest.raises(EOFError):
        await typist.answers("\x04")
    assert typist.interrupts == 0
    typist.reader.feed(b"typed ahead \x03next\r")
    assert typist.interrupts == 1
    assert await typist.answers("") == "next"
    seen = len(typist.shown)
    asking = asyncio.create_task(asyncio.to_thread(typist.ask))
    await typist.shows(b"? ", seen)
    typist.reader.stop()
    assert typist.shown.endswith(b"\r\n")
    with pytest.raises(EOFError):
        await asking
    with pytest.raises(EOFError):
        await asyncio.to_thread(typist.ask)


async def test_a_line_in_the_middle_of_a_question():
    """What was typed so far is shown again behind the question."""
    typist = Typist("dumb")
    typist.reader.feed(b"half")
    asking = asyncio.create_task(asyncio.to_thread(typist.ask))
    await typist.shows(b"half")
    typist.reader.tell("This session ends soon.")
    typist.reader.feed(b" a line\r")
    assert await asking == "half a line"
    assert typist.shown == b"? half\r\nThis session ends soon.\r\n? half a line\r\n"


async def test_without_a_terminal_each_line_is_an_answer():
    typist = Typist(None)
    typist.reader.feed(b"first\r\nsecond\n" + b"x" * 4000)
    typist.reader.feed(b"y" * 96 + b"\nlast")
    assert await typist.answers("") == "first"
    assert await typist.answers("") == "second"
    assert await typist.answers("") == "x" * 4000 + "y" * 96
    typist.reader.end()
    assert await typist.answers("") == "last"
    with pytest.raises(EOFError):
        await typist.answers("")
    assert typist.shown == b"? \n" * 4 + b"? "


async def test_lines_are_bounded():
    typist = Typist(None)
    with pytest.raises(EOFError):
        await typist.answers("x" * 5000 + "\n")
    assert b"longer than 4096 characters" in typist.shown
    typist = Typist("dumb")
    assert await typist.answers("x" * 5000 + "\r") == "x" * 4096


@pytest.mark.parametrize("term", ["dumb", None])
async def test_nothing_that_is_pasted_is_lost(term):
    """What no question has asked for yet waits; when much does, no more is read until it was taken."""
    typist = Typist(term)
    typist.reader.feed(b"a line of a paste\n" * 400)
    assert typist.pauses == []
    typist.reader.feed(b"y" * 70_000)
    assert typist.pauses == [True]
    assert {await typist.answers("") for _ in range(400)} == {"a line of a paste"}
    typist.reader.feed(b"\n")
    if term is None:
        with pytest.raises(EOFError):
            await typist.answers("")
    else:
        assert await typist.answers("") == "y" * 4096
    assert typist.pauses == [True, False]


async def test_keys_that_redraw_a_long_line_are_edited_in_turns():
    """One packet of them would hold the event loop, and so every other session, for ten seconds."""
    typist = Typist()
    asking = asyncio.create_task(typist.answers("x" * 4000 + REDRAW * 200 + "\r"))
    while not typist.charged:
        await asyncio.sleep(0)
    assert not asking.done()
    assert await asking == "x" * 4000
    assert len(typist.charged) > 10


async def test_nothing_is_edited_while_the_terminal_does_not_read():
    typist = Typist()
    typist.is_full = True
    asking = asyncio.create_task(typist.answers(REDRAW * 100 + "a line\r"))
    await asyncio.sleep(0.1)
    assert typist.shown == b"? "
    typist.is_full = False
    assert await asking == "a line"


async def test_a_session_that_is_over_waits_for_no_turn():
    typist = Typist()
    typist.is_full = True
    asking = asyncio.create_task(typist.answers("a line\r"))
    await typist.shows(b"? ")
    await asyncio.sleep(0.01)
    typist.reader.stop()
    with pytest.raises(EOFError):
        await asking
