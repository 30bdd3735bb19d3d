"""Serving HTTP on sockets that are already bound: limits of time and size, and nothing in a log."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from socket import socket
from typing import Any, Final

from aiohttp import web

from data.authserver.answers import error_document
from data.authserver.requests import BODY_BYTES
from data.periodic import Report

_HANDSHAKE_SECONDS: Final = 5.0
_HEAD_BYTES: Final = 8_190
_HEADERS: Final = 64

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def json_answer(status: int, content: Mapping[str, object], **headers: str) -> web.Response:
    """Return an answer in JSON that nobody stores; `retry_after="1"` is the header `Retry-After: 1`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(
        status=status,
        body=json.dumps(content, ensure_ascii=False).encode(),
        headers={
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Server": "Twofold",
            **named,
        },
    )


def error_answer(status: int, message: str, field: str | None = None, **headers: str) -> web.Response:
    """Return an error in JSON that names the field at fault, if there is one."""
    return json_answer(status, error_document(message, field), **headers)


@contextlib.asynccontextmanager
async def serving(
    handler: Handler,
    sockets: Iterable[socket],
    report: Report,
    tls: ssl.SSLContext | None = None,
    *,
    drain_seconds: float,
    idle_seconds: float,
) -> AsyncIterator[None]:
    """Answer requests by `handler` on bound sockets while this lasts, then let those under way end.

    `report` gets what a handler raises. A connection has `idle_seconds` for a request's head, may be open as
    long without a request, and may leave answers unread as long.
    """
    server = _Server(handler, report, idle_seconds)
    loop = asyncio.get_running_loop()
    seconds = None if tls is None else _HANDSHAKE_SECONDS
    listening = [
        await loop.create_server(
            server, sock=each, ssl=tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
        )
        for each in sockets
    ]
    try:
        yield
    finally:
        for each in listening:
            each.close()
        server.pre_shutdown()
        await server.shutdown(drain_seconds)


class _Server(web.Server):
    def __init__(self, handler: Handler, report: Report, idle_seconds: float) -> None:
        super().__init__(partial(_answer, handler, report), request_factory=_request)
        self._idle_seconds = idle_seconds

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            # A path may hold an application's token, so neither requests nor faulty ones are logged.
            access_log=None,  # type: ignore[arg-type] # None is taken: it turns the access log off.
            keepalive_timeout=self._idle_seconds,
            lingering_time=1.0,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
            max_headers=_HEADERS,
            auto_decompress=False,
        )


class _Connection(web.RequestHandler):
    __slots__ = ("_unread",)

    def pause_writing(self) -> None:
        """Cut a client off that leaves more unread than is kept for it, unless it reads on in time."""
        super().pause_writing()
        if self.transport is not None:
            loop = asyncio.get_running_loop()
            self._unread = loop.call_later(self.keepalive_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.cancel()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's.
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer what is not HTTP; the library would log and repeat it."""
        answer = error_answer(status, "That is not a request in HTTP/1.1.")
        answer.force_close()
        return answer


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES)


async def _answer(handler: Handler, report: Report, request: web.BaseRequest) -> web.StreamResponse:
    try:
        return await handler(request)
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault must neither end the connection's task nor be shown.
        report(error, "Answering over HTTP")
        return error_answer(500, "The server could not answer this. Try again.")
