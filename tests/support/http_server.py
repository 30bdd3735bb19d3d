"""Applications that ask over HTTP: a real server on a free port, asked by `curl`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.database import OPERATOR, World

from data.authserver.certificate import Certificate
from data.authserver.http_server import serving_http
from data.authserver.http_settings import HttpSettings
from data.authserver.verification import Verifier
from data.delivery.carriers import Carriers
from data.operations.applications import registry
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.source_addresses import Network
from data.store import Store
from sshserver.listener import bind
from sshserver.telemetry import crash_reports

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answered:
    """What `curl` printed: the status, the headers by their names in lower case, and the document."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def add_application(world: World, asks: Asks, name: str = "portal", **options: Any) -> str:
    """Register an application that asks over HTTP, and return its token."""
    made = world.run(registry.add_application, OPERATOR, NewApplication(name, Protocol.HTTP, asks, **options))
    assert isinstance(made, registry.NewSecret), made
    return made.secret


@asynccontextmanager
async def http_server(
    store: Store,
    *,
    proxies: tuple[Network, ...] = (),
    certificate: Certificate | None = None,
    carriers: Carriers | None = None,
    most_open: int = 256,
) -> AsyncIterator[str]:
    """Serve HTTP on a free port; yield the base URL."""
    sockets = await bind(HOST, 0, lambda _address: True, most_open=most_open)
    port = int(sockets[0].getsockname()[1])
    settings = HttpSettings(HOST, port, proxies=proxies)
    serving = serving_http(
        store,
        Verifier(store, carriers),
        settings,
        sockets,
        certificate,
        crash_reports.report,
        drain_seconds=5,
    )
    async with serving:
        yield f"{'https' if certificate else 'http'}://{HOST}:{port}"


async def curl(*arguments: str | Path, given: bytes = b"") -> Answered:
    """Run `curl` with something on its standard input."""
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", "--max-time", "60", "--include", *map(str, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, complaint = await process.communicate(given)
    assert process.returncode == 0, complaint.decode()
    head, _, body = printed.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answered(int(first.split()[1]), headers, body)


async def verify(base: str, token: str, *more: str, **fields: object) -> Answered:
    """Ask at `/v1/verify`, as the manual shows it."""
    return await curl(
        f"{base}/v1/verify", "-H", f"Authorization: Bearer {token}", "--json", json.dumps(fields), *more
    )
