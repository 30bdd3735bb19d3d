"""Drawing no faster than a client reads."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Writer(Protocol):
    """What writes to the client: the driver of an app, or a command."""

    def pause_writing(self) -> None:
        """Write nothing for now."""
        ...

    def resume_writing(self) -> None:
        """Write again."""
        ...


class FlowControl:
    """Holds frames back while there is a cause, such as a full channel or a full socket."""

    def __init__(self, seconds: float, give_up: Callable[[], None]) -> None:
        """Call `give_up` when the client has left its screen unread for `seconds`."""
        self._seconds = seconds
        self._give_up = give_up
        self._causes: set[str] = set()
        self._clear = asyncio.Event()
        self._clear.set()
        self._driver: Writer | None = None
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, driver: Writer) -> None:
        """Hold back `driver` from now on."""
        self._driver = driver
        if self._causes:
            driver.pause_writing()

    def pause(self, cause: str) -> None:
        """Hold frames back because of `cause`."""
        if not self._causes:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._give_up)
        self._causes.add(cause)
        self._clear.clear()
        if self._driver is not None:
            self._driver.pause_writing()

    def resume(self, cause: str) -> None:
        """Draw again, once the last cause is gone."""
        self._causes.discard(cause)
        if self._causes:
            return
        self._clear.set()
        self._stop_timer()
        if self._driver is not None:
            self._driver.resume_writing()

    async def wait_until_clear(self) -> None:
        """Wait for a client that does not read."""
        await self._clear.wait()

    def release(self) -> None:
        """Release those who wait: they would keep an app from ending."""
        self._clear.set()

    def stop(self) -> None:
        """Stop holding frames back, and do not call `give_up` any more."""
        self._driver = None
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
