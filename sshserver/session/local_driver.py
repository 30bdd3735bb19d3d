"""A Textual driver for the terminal of this process."""

import os
import selectors
from codecs import getincrementaldecoder
from typing import Final

from textual.drivers.linux_driver import LinuxDriver

from sshserver.compat.textual_parser import InputParser
from sshserver.terminal.sequences import KEY_SECONDS

_READ: Final = 4096


class LocalDriver(LinuxDriver):
    """Reads input as SSH sessions do: it handles any bytes and a terminal's late answers."""

    def run_input_thread(self) -> None:
        """Read until the app ends."""
        decode = getincrementaldecoder("utf-8")("replace").decode
        parser = InputParser()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(KEY_SECONDS):
                    messages = parser.feed(decode(os.read(self.fileno, _READ)))
                else:
                    messages = parser.tick()
                for message in messages:
                    self.process_message(message)
