"""What a terminal answers late, in a session over SSH: nothing of it is typed into the focused field."""

from typing import Any

import asyncssh
import pytest
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import connect, running_server, until
from support.terminal_answers import ANSWERS
from textual.app import ComposeResult
from textual.widgets import Input

from sshserver.compat.textual_app import ContainedApp
from sshserver.terminal import sequences

KEY = asyncssh.generate_private_key("ssh-ed25519")


class FieldApp(ContainedApp):
    """Has one field, and notes what is entered there."""

    def __init__(self, _session: Any, _terminal: Any) -> None:
        super().__init__()
        self.entered: list[str] = []

    def compose(self) -> ComposeResult:
        yield Input()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.entered.append(event.value)
        event.input.clear()


@pytest.fixture
async def session():
    """Return a session's app and a function that sends bytes to it, each in a packet of its own."""
    async with running_server(FakeBackend([KEY]), app_class=FieldApp) as running:
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY])
        process = await connection.create_process(
            term_type="xterm-256color", term_size=(80, 24), encoding=None
        )

        def send(*pieces: str | bytes) -> None:
            for piece in pieces:
                process.stdin.write(piece.encode() if isinstance(piece, str) else piece)

        await until(lambda: running.apps and running.app.focused)
        yield running.app, send
        connection.close()


@pytest.mark.parametrize("ending", ["\r", "\n"], ids=["CR", "LF"])
async def test_no_answer_is_typed_wherever_it_is_split(session, ending, monkeypatch):
    # On a busy machine the rest of an answer comes late: no Esc is taken for a key here.
    monkeypatch.setattr(sequences, "KEY_SECONDS", 60)
    monkeypatch.setattr(sequences, "_SEQUENCE_SECONDS", 60)
    app, send = session
    expected = []
    for answer in map(str.encode, ANSWERS.values()):
        for cut in range(1, len(answer)):
            send("a", answer[:cut], answer[cut:])
        send(*(answer[place : place + 1] for place in range(len(answer))))
        send("z", ending)
        expected.append("a" * (len(answer) - 1) + "z")
        # What is entered clears the field a moment later, and must not clear what is typed next.
        await until(lambda: len(app.entered) >= len(expected), 60)
    assert app.entered == expected


async def test_each_kind_of_line_ending_enters_a_field_once(session):
    app, send = session
    send("one\r", "two\n", "three\r\n", "four\r", "\n", "five\r")
    await until(lambda: "five" in app.entered)
    assert app.entered == ["one", "two", "three", "four", "five"]


async def test_endless_answers(session):
    app, send = session
    send(*["\x1b[?64;1;2c" * 100] * 300)
    send("a", "\x1b]11;", *["x" * 1000] * 300, "\x07", "b\r")
    await until(lambda: app.entered, 60)
    assert app.entered == ["ab"]
