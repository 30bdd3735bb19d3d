"""The socket in the home where `twofold-verify` asks: one JSON object in a line, and one back.

Only the home's owner and root can reach it, so an application needs to say no more than its name.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from data.authserver.answers import Document, document
from data.authserver.requests import RequestFault, json_fields, read_fields
from data.authserver.verification import NotJudgedError, Verifier
from data.authserver.verify_client import LONGEST_LINE, SOCKET, address_in
from data.errors import ExplainedError
from data.operations.applications.asking import application_on_host
from data.periodic import Report
from data.store import Store, StoreUnavailableError

_BACKLOG: Final = 64
_AT_A_TIME: Final = 64
LINE_SECONDS: Final = 10.0
_PRIVATE: Final = 0o600
_ROOT: Final = 0
_CREDENTIALS: Final = struct.Struct("iII")
"""The process, user and group at the other end of a socket (unix(7), SO_PEERCRED)."""


class SocketError(ExplainedError):
    """The socket cannot be made; the message says why, in one line."""


@contextlib.asynccontextmanager
async def serving(store: Store, verifier: Verifier, home: Path, report: Report) -> AsyncIterator[None]:
    """Answer questions at the socket in a home while this lasts.

    Raises:
        SocketError: when it cannot be made.
    """
    try:
        listening = _listen(home)
    except OSError as error:
        raise SocketError(f"The socket {home / SOCKET} cannot be made: {error.strerror}.") from None
    judging: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(judging) >= _AT_A_TIME or not _may_ask(writer):
            writer.transport.abort()
            return
        task = asyncio.ensure_future(_serve(store, verifier, report, reader, writer))
        judging.add(task)
        task.add_done_callback(judging.discard)

    server = await asyncio.start_unix_server(connected, sock=listening, limit=LONGEST_LINE)
    try:
        yield
    finally:
        server.close()
        (home / SOCKET).unlink(missing_ok=True)
        if judging:
            await asyncio.wait(judging, timeout=LINE_SECONDS)


def _listen(home: Path) -> socket.socket:
    """Make a socket, and put it in the place of one that a killed process left."""
    draft = f"{SOCKET}.new"
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        (home / draft).unlink(missing_ok=True)
        made.setblocking(False)
        made.bind(address_in(str(home), folder, draft))
        (home / draft).chmod(_PRIVATE)
        made.listen(_BACKLOG)
        (home / draft).replace(home / SOCKET)
    except BaseException:
        made.close()
        raise
    finally:
        os.close(folder)
    return made


def _may_ask(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end is the owner of this process, or root, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    peer = writer.get_extra_info("socket")
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(told)[1] in (_ROOT, os.geteuid())


async def _serve(
    store: Store,
    verifier: Verifier,
    report: Report,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        async with asyncio.timeout(LINE_SECONDS):
            line = await reader.readline()
    except (TimeoutError, OSError, ValueError):  # A ValueError says that the line is too long.
        writer.transport.abort()
        return
    try:
        writer.write(json.dumps(await _answer(store, verifier, line)).encode() + b"\n")
        writer.close()
    except Exception as error:  # noqa: BLE001 - whatever it was, the next question is answered.
        report(error, "Answering twofold-verify")
        writer.transport.abort()


async def _answer(store: Store, verifier: Verifier, line: bytes) -> Document:
    fields = json_fields(line)
    if isinstance(fields, RequestFault):
        return _error(fields.message)
    name = fields.pop("application", None)
    asked = read_fields(fields)
    if isinstance(asked, RequestFault):
        return _error(asked.message)
    try:
        asking = await store.read(application_on_host, name) if isinstance(name, str) else None
        if asking is None:
            return _error("No enabled application has that name. List them with: twofold application list")
        return document(await verifier.verify(asking, asked))
    except (NotJudgedError, StoreUnavailableError) as error:
        return _error(str(error))


def _error(message: str) -> Document:
    return {"result": "error", "message": message}
