"""`GET /krl/ACCOUNT`: which certificates of an account hosts must refuse, in OpenSSH's format, for anyone."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from data.authserver.http_listener import error_answer
from data.operations.certificates.revocation_list import read_revocation_list
from data.rules.user_fields import tidy
from data.store import Store

PATH: Final = "krl/"
_KEPT_SECONDS: Final = 2.0
"""How long a list that was read is given out: however many ask, one read in that time is enough."""
_MOST_KEPT: Final = 64
_CONTENTS: Final = slice(28, None)
"""What follows the moment when a list was made, which differs between workers, and tells nothing."""
_NOT_FOUND: Final = "Not found."
_MEDIA_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Read:
    """A list as it was read, or None, and until when it is given out."""

    content: bytes | None
    tag: str
    until: float


class RevocationLists:
    """Answers with revocation lists; one is read at a time, so that a flood leaves the database to others."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading = asyncio.Lock()
        self._kept: OrderedDict[str, _Read] = OrderedDict()

    async def answer(self, request: web.BaseRequest, encoded: str) -> web.Response:
        """Answer a request for the list of the account whose name is percent-encoded.

        Raises:
            StoreUnavailableError: when the database does not answer.
        """
        if request.method not in ("GET", "HEAD"):
            return error_answer(405, "Ask with GET.", Allow="GET, HEAD")
        found = await self._find(encoded)
        if found is None or found.content is None:
            return error_answer(404, _NOT_FOUND)
        headers = {
            "Cache-Control": f"public, max-age={_KEPT_SECONDS:.0f}",
            "ETag": f'W/"{found.tag}"',
            "X-Content-Type-Options": "nosniff",
            "Server": "Twofold",
        }
        if any(each.value in (found.tag, "*") for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.content, headers={"Content-Type": _MEDIA_TYPE, **headers})

    async def _find(self, encoded: str) -> _Read | None:
        name = tidy(unquote(encoded, errors="replace"))
        if not name:
            return None
        folded = name.lower()
        async with self._reading:
            kept = self._kept.get(folded)
            if kept is None or kept.until <= time.monotonic():
                kept = await self._read(folded)
        return kept

    async def _read(self, folded: str) -> _Read:
        until = time.monotonic() + _KEPT_SECONDS
        content = await self._store.read(read_revocation_list, folded)
        tag = hashlib.sha256((content or b"")[_CONTENTS]).hexdigest()[:32]
        read = _Read(content, tag, until)
        self._kept[folded] = read
        self._kept.move_to_end(folded)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return read
