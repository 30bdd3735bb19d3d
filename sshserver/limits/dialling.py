"""Reaching a target: its host is resolved once, every address is judged, and a judged address is dialled."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from aiohappyeyeballs import start_connection

from data.rules.target_addresses import reached_by
from sshserver.limits.limit_values import Limits

_ADDRESS_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_MOST_DIALLED: Final = 8
"""Addresses of one target that are dialled; each takes an open file until one of them answers."""
_NEXT_SECONDS: Final = 0.25
"""How long an address may take to answer before the next is dialled beside it (RFC 8305 section 5)."""


class DialError(Exception):
    """A target was not reached. The message is a sentence for its user, `reason` a word for the metrics."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Found:
    """An address that a host resolved to, in the forms for people and for sockets."""

    family: int
    address: str
    socket_address: Any

    @property
    def info(self) -> tuple[int, int, int, str, Any]:
        """The form of getaddrinfo(3)."""
        return self.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", self.socket_address


class Dialler:
    """Resolves and dials for all connections of a server.

    Resolving blocks a thread of its own for as long as the system's resolver takes, which nothing can end.
    So there are few such threads, and no more than one for each host.
    """

    def __init__(self, limits: Limits) -> None:
        """Resolve at most `limits.lookups` hosts at a time."""
        self._limits = limits
        self._lookups: dict[tuple[str, int], asyncio.Future[list[_Found]]] = {}
        self.spare_sockets = 0
        """How many sockets are taken or may be, beyond one for each target that is dialled."""

    async def dial(
        self, name: str, host: str, port: int, why_not: Callable[[str, bool], str | None]
    ) -> tuple[socket.socket, str]:
        """Connect to a host; return the socket and the address.

        `why_not(address, is_own)` says, as the end of a sentence, why an address may not be dialled, given
        whether it is one of this machine.

        Raises:
            DialError: when it does not resolve, leads nowhere that is allowed, or does not answer in time.
        """
        found = await self._resolve(name, host, port)
        refusals = {each.address: why_not(each.address, _is_own(each)) for each in found}
        allowed = [each for each in found if refusals[each.address] is None]
        if not allowed:
            reason = next(iter(refusals.values()), None) or "is not known"
            raise DialError("address", f"{name} cannot be reached: its address {reason}.")
        try:
            async with asyncio.timeout(self._limits.dial_seconds):
                return await self._connect(allowed[:_MOST_DIALLED])
        except TimeoutError:
            seconds = self._limits.dial_seconds
            raise DialError("no_answer", f"{name} did not answer within {seconds:g} seconds.") from None
        except OSError as error:  # Without a number, if the addresses differ in what is wrong with them.
            why = os.strerror(error.errno) if error.errno else "none of its addresses answers"
            raise DialError("no_answer", f"{name} cannot be reached: {why}.") from None

    async def _resolve(self, name: str, host: str, port: int) -> list[_Found]:
        with contextlib.suppress(OSError, UnicodeError):
            return _addresses(host, port, socket.AI_NUMERICHOST)  # An address needs no lookup.
        lookup = self._lookups.get((host, port))
        if lookup is None:
            if len(self._lookups) >= self._limits.lookups:
                raise DialError("lookup", "Too many host names are being looked up. Try again in a minute.")
            lookup = self._lookups[host, port] = _look_up(host, port)
            lookup.add_done_callback(lambda _done: self._lookups.pop((host, port)))
        try:
            return await asyncio.wait_for(asyncio.shield(lookup), self._limits.lookup_seconds)
        except TimeoutError:
            raise DialError(
                "lookup",
                f"The host of {name} could not be looked up within {self._limits.lookup_seconds:g} seconds.",
            ) from None
        except (OSError, UnicodeError):
            raise DialError("lookup", f"The host of {name} could not be looked up.") from None

    async def _connect(self, judged: list[_Found]) -> tuple[socket.socket, str]:
        """Connect to whichever of these answers first; each is dialled a moment after the one before."""
        spare = len(judged) - 1
        self.spare_sockets += spare
        try:
            infos = [each.info for each in judged]
            dialled = await start_connection(infos, happy_eyeballs_delay=_NEXT_SECONDS)
        finally:
            self.spare_sockets -= spare
        try:
            self._configure(dialled)
            return dialled, str(dialled.getpeername()[0])
        except BaseException:
            dialled.close()
            raise

    def _configure(self, dialling: socket.socket) -> None:
        """Have the system find out that a silent target is dead, as soon as for a client."""
        dialling.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialling.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        seconds = max(1, int(self._limits.keepalive_seconds))
        for option, value in (
            ("TCP_KEEPIDLE", seconds),
            ("TCP_KEEPINTVL", seconds),
            ("TCP_KEEPCNT", self._limits.keepalive_count),
        ):
            if hasattr(socket, option):  # Not every system has them.
                dialling.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _addresses(host: str, port: int, flags: int = 0) -> list[_Found]:
    """Return the addresses of a host; only a name that is looked up blocks."""
    listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [_Found(each[0], str(each[4][0]), each[4]) for each in listed if each[0] in _ADDRESS_FAMILIES]


def _look_up(host: str, port: int) -> "asyncio.Future[list[_Found]]":
    """Resolve a host in a thread of its own, which does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[_Found]] = loop.create_future()
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # No one may be left to ask.

    def settle(found: list[_Found] | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def look_up() -> None:
        found, error = None, None
        try:
            found = _addresses(host, port)
        except (OSError, UnicodeError) as failed:
            error = failed
        with contextlib.suppress(RuntimeError):  # The loop was closed meanwhile.
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    return answer


def _is_own(found: _Found) -> bool:
    """Return whether an address is one of this machine: the system then sends from that address itself.

    One that carries an IPv4 address counts as that, as for `why_not_address`.
    """
    family, address, place = found.family, found.address, found.socket_address
    reached = reached_by(address)
    if family == socket.AF_INET6 and isinstance(reached, IPv4Address):
        family, address, place = socket.AF_INET, str(reached), (str(reached), place[1])
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(place)  # This sends nothing.
        except OSError:
            return False
        return str(asking.getsockname()[0]) == address
