"""HTTP: `/v1/verify` and privacyIDEA's `/validate/check`, `/krl` for hosts, and `/health` for balancers.

An application's token comes in the path's first part, as `Authorization: Bearer` or as `X-API-Key`. Neither
the path nor what was typed is ever logged.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from socket import socket
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge

from data.authserver.certificate import Certificate
from data.authserver.http_dialects import DIALECTS, Dialect
from data.authserver.http_listener import error_answer, json_answer, serving
from data.authserver.http_revocation_lists import PATH, RevocationLists
from data.authserver.http_settings import HttpSettings
from data.authserver.request_slots import RequestSlots
from data.authserver.requests import BODY_BYTES, RequestFault
from data.authserver.verification import NotJudgedError, Verifier
from data.operations.applications.asking import AskingApplication, authenticate_application
from data.operations.maintenance import clock_jumps
from data.periodic import Report
from data.rules.source_addresses import Network, is_address, normalise, parse_network, source_of
from data.store import Store, StoreUnavailableError

_log = logging.getLogger("twofold.http")
IDLE_SECONDS: Final = 30.0
"""How long a connection may take for a request's head, and stay open without a request."""
BODY_SECONDS: Final = 10.0
"""How long a request's body may take."""
REQUESTS_PER_SECOND: Final = 500
"""Requests of one source in a second; the others are told to wait."""
_HEALTHY_SECONDS: Final = 1.0
"""How long the database is presumed to answer after it did."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_LOGGED_SECONDS: Final = 60.0
"""How often a source with an unknown token is logged."""
_MOST_SOURCES: Final = 1_024
_FAULTS: Final = {"Content-Type": 415, "Authorization": 401}
"""The statuses of faults; of all others it is 400."""
_BUSY: Final = "Too many requests. Try again in a second."
_UNKNOWN: Final = (
    "The token is missing, or is not that of an enabled application that asks from this address."
)


class HttpServer:
    """Answers the requests of one process."""

    def __init__(self, store: Store, verifier: Verifier, proxies: tuple[Network, ...]) -> None:
        """Judge by `verifier`; `proxies` are those whose `X-Forwarded-For` is believed."""
        self._store = store
        self._verifier = verifier
        self._proxies = proxies
        self._rate = _Rate(REQUESTS_PER_SECOND)
        self._slots = RequestSlots()
        self._revocation_lists = RevocationLists(store)
        self._healthy_until = 0.0
        self._logged: dict[str, float] = {}
        self.closing = False

    @property
    def _now(self) -> datetime:
        return self._store.services.clock()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        parts = [part for part in request.rel_url.raw_path.split("/") if part]
        token = parts.pop(0) if parts and _TOKEN.fullmatch(parts[0]) else None
        path = "/".join(parts)
        if path == "health" and token is None:
            return await self._health(request)
        if path.startswith(PATH) and token is None:
            return await self._revocation_list(request, path.removeprefix(PATH))
        dialect = DIALECTS.get(path)
        if dialect is None:
            return error_answer(404, "The path was not found. Ask at /v1/verify or /validate/check.")
        if request.method != "POST":
            return error_answer(405, "Ask with POST.", Allow="POST")
        return await self._verify(request, dialect, token)

    async def _health(self, request: web.BaseRequest) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, "Ask with GET.", Allow="GET, HEAD")
        try:
            if not self.closing and time.monotonic() > self._healthy_until:
                await self._store.read(clock_jumps.newest_entry)
                self._healthy_until = time.monotonic() + _HEALTHY_SECONDS
        except StoreUnavailableError:
            return json_answer(503, {"status": "the database is not available"})
        return (
            json_answer(503, {"status": "stopping"}) if self.closing else json_answer(200, {"status": "ok"})
        )

    async def _revocation_list(self, request: web.BaseRequest, account: str) -> web.Response:
        if not self._rate.takes(source_of(normalise(request.remote or ""))):
            return error_answer(429, _BUSY, Retry_After="1")
        try:
            return await self._revocation_lists.answer(request, account)
        except StoreUnavailableError as error:
            return error_answer(503, str(error), Retry_After="1")

    async def _verify(self, request: web.BaseRequest, dialect: Dialect, token: str | None) -> web.Response:
        peer = normalise(request.remote or "")
        if not self._rate.takes(source_of(peer)):
            return dialect.fail(429, _BUSY, None, self._now)
        try:
            return await self._judge(request, dialect, token, peer)
        except NotJudgedError as error:
            return dialect.fail(429, str(error), None, self._now)
        except StoreUnavailableError as error:
            return dialect.fail(503, str(error), None, self._now)

    async def _judge(
        self, request: web.BaseRequest, dialect: Dialect, token: str | None, peer: str
    ) -> web.Response:
        asking = await self._authenticate(token or _token_of(request), peer)
        if asking is None:
            return dialect.fail(403, _UNKNOWN, None, self._now)
        body = await _body(request)
        if isinstance(body, _Unread):
            return dialect.fail(body.status, body.message, "body", self._now)
        asked = dialect.read(body, request)
        if isinstance(asked, RequestFault):
            return dialect.fail(_FAULTS.get(asked.field, 400), asked.message, asked.field, self._now)
        address = self._client(request, peer)
        with self._slots.taken(asking.id, source_of(address or "")) as given:
            if not given:
                return dialect.fail(429, _BUSY, None, self._now)
            verdict = await self._verifier.verify(asking, replace(asked, from_address=address))
        return dialect.answer(verdict, self._now)

    async def _authenticate(self, token: str, peer: str) -> AskingApplication | None:
        if not _TOKEN.fullmatch(token):
            return None
        asking = await self._store.read(authenticate_application, token, peer)
        if asking is None:
            self._log_unknown(peer)
        return asking

    def _log_unknown(self, peer: str) -> None:
        now = time.monotonic()
        if now < self._logged.get(peer, 0.0):
            return
        if len(self._logged) >= _MOST_SOURCES:
            self._logged.clear()
        self._logged[peer] = now + _LOGGED_SECONDS
        _log.warning("A request from %s had a token that is not accepted from there.", peer)

    def _client(self, request: web.BaseRequest, peer: str) -> str | None:
        """Return from where a named proxy says that the user comes: the last address that is no proxy's."""
        if not self._is_proxy(peer):
            return None
        told = ",".join(request.headers.getall("X-Forwarded-For", ()))
        for name in reversed(told.split(",")):
            address = normalise(name.strip())
            if not self._is_proxy(address):
                return address if is_address(address) else None
        return None

    def _is_proxy(self, address: str) -> bool:
        found = parse_network(address)
        return found is not None and any(found.network_address in network for network in self._proxies)


class _Rate:
    """Limits how many requests each source sends in one second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0
        self._sent: Counter[str] = Counter()

    def takes(self, source: str) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._sent.clear()
        self._sent[source] += 1
        return self._sent[source] <= self._most


@contextlib.asynccontextmanager
async def serving_http(
    store: Store,
    verifier: Verifier,
    settings: HttpSettings,
    sockets: Iterable[socket],
    certificate: Certificate | None,
    report: Report,
    *,
    drain_seconds: float,
) -> AsyncIterator[None]:
    """Answer applications on bound sockets while this lasts; then let the requests under way end."""
    server = HttpServer(store, verifier, settings.proxies)
    async with contextlib.AsyncExitStack() as running:
        tls = None
        if certificate is not None:
            tls = certificate.context
            following = asyncio.create_task(certificate.follow(report), name="Reading the certificate")
            running.callback(following.cancel)
        await running.enter_async_context(
            serving(
                server.answer, sockets, report, tls, drain_seconds=drain_seconds, idle_seconds=IDLE_SECONDS
            )
        )
        yield
        server.closing = True


def _token_of(request: web.BaseRequest) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.headers.get("X-API-Key", "")


async def _body(request: web.BaseRequest) -> "bytes | _Unread":
    if request.headers.get("Content-Encoding", "identity") != "identity":
        return _Unread(415, "The body must not be compressed.")
    if (request.content_length or 0) > BODY_BYTES:
        return _TOO_LONG
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        return _Unread(408, "The body did not arrive in time.")
    except HTTPRequestEntityTooLarge:
        return _TOO_LONG
    except (HttpProcessingError, web.RequestPayloadError):
        return _Unread(400, "The body is not what its headers say.")


@dataclass(frozen=True, slots=True)
class _Unread:
    """Why a body was not read."""

    status: int
    message: str


_TOO_LONG: Final = _Unread(413, f"The body must have at most {BODY_BYTES} bytes.")
