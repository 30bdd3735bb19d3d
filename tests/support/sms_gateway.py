"""The real gammu-smsd with its dummy phone: a gateway that sends text messages nowhere."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from support.pseudo_terminal import PATIENCE

_SETTINGS = """[gammu]
device = {folder}/phone
connection = none
model = dummy
[smsd]
service = files
inboxpath = {folder}/in/
outboxpath = {folder}/out/
sentsmspath = {folder}/sent/
errorsmspath = {folder}/err/
logfile = {folder}/log
commtimeout = 1
sendtimeout = 5
receivefrequency = 1
loopsleep = 1
checksecurity = 0
checkbattery = 0
checksignal = 0
checknetwork = 0
hangupcalls = 0
runonreceive = {on_receive}
"""
_RECEIVED = """[SMSBackup000]
State = UnRead
Number = "{number}"
Text00 = {text}
Coding = Default_No_Compression
Folder = 1
Length = {length}
"""


@dataclass
class Gateway:
    """A running gammu-smsd."""

    folder: Path
    send_command: tuple[str, ...]

    async def sent(self, seconds: float = PATIENCE, containing: str = " is your ") -> tuple[str, str]:
        """Wait until the phone has sent a text message; return its number and its words."""
        async with asyncio.timeout(seconds):
            while not (done := self._sent(containing)):
                await asyncio.sleep(0.05)
        return done[0]

    def codes_to(self, number: str) -> list[str]:
        """Return the codes that were sent to a number."""
        return [words[:6] for to, words in self._sent() if to == number]

    def _sent(self, containing: str = " is your ") -> list[tuple[str, str]]:
        """Return the numbers and words of what was sent, in its order."""
        found = []
        for file in sorted((self.folder / "sent").iterdir(), key=lambda file: file.stat().st_mtime_ns):
            text = file.read_text()
            number = re.search(r'^Number = "(.+)"$', text, re.MULTILINE)
            words = re.search(rf"^; (.*{containing}.*)\n", text, re.MULTILINE)
            if number and words:  # Otherwise it is still being written.
                found.append((number.group(1), words.group(1)))
        return found

    def receive(self, number: str, text: str) -> None:
        """Have the phone receive a text message."""
        inbox = self.folder / "phone" / "sms" / "1"
        inbox.mkdir(parents=True, exist_ok=True)
        message = _RECEIVED.format(number=number, text=text.encode("utf-16-be").hex(), length=len(text))
        whole = self.folder / "message"
        whole.write_text(message)
        whole.rename(inbox / str(len(list(inbox.iterdir())) + 1))


@asynccontextmanager
async def running_gateway(
    smsd: str, inject: str, folder: Path, on_receive: str = "true"
) -> AsyncIterator[Gateway]:
    """Run gammu-smsd with its dummy phone in `folder`; `on_receive` is its line for the hook."""
    for name in ("in", "out", "sent", "err", "phone"):
        (folder / name).mkdir(parents=True)
    settings = folder / "smsdrc"
    settings.write_text(_SETTINGS.format(folder=folder, on_receive=on_receive))
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(smsd, "-c", str(settings), stdout=quiet, stderr=quiet)
    try:
        yield Gateway(folder, (inject, "-c", str(settings), "TEXT", "{to}"))
    finally:
        process.terminate()
        await process.wait()
