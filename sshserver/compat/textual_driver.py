"""The side of a driver that faces the app; nothing in it reaches the server's own system."""

from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, TextIO

from textual.driver import Driver
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.messages import InBandWindowResize

from sshserver.terminal.typeahead import TypeAheadApp


class HostedDriver(Driver):
    """The side of a driver that faces the app."""

    @property
    def backlog(self) -> int:
        """The number of messages and keys that wait in the app."""
        waiting = self._app.keys_waiting if isinstance(self._app, TypeAheadApp) else 0
        return self._app._message_queue.qsize() + waiting  # noqa: SLF001

    def send_message(self, message: Message) -> None:
        """Pass a message to the app, which runs on the calling loop."""
        self._app.post_message(message)

    def announce(self, message: Message) -> bool:
        """Pass a parsed message to the app; return False for a size, which only SSH may change."""
        if isinstance(message, Resize | InBandWindowResize):
            return False
        self.process_message(message)
        return True

    def announce_size(self, size: tuple[int, int]) -> None:
        """Notify the app of its terminal's new size in columns and rows."""
        self._size = size
        self._app.post_message(Resize(Size(*size), Size(*size)))

    def repaint(self) -> None:
        """Make the app redraw its whole screen."""
        self._app.call_later(partial(self._app.refresh, layout=True))

    def open_url(self, url: str, new_tab: bool = True) -> None:
        """Do nothing: the browser would open on the server."""

    def deliver_binary(
        self,
        binary: BinaryIO | TextIO,
        *,
        delivery_key: str,  # noqa: ARG002 - as Textual's.
        save_path: Path,  # noqa: ARG002
        open_method: Literal["browser", "download"] = "download",  # noqa: ARG002
        encoding: str | None = None,  # noqa: ARG002
        mime_type: str | None = None,  # noqa: ARG002
        name: str | None = None,  # noqa: ARG002
    ) -> None:
        """Write nothing: the file would be on the server."""
        binary.close()
