"""Closing what the database says is over: every few seconds, by one small query for all connections."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Protocol

from data.operations.signin import sessions
from data.store import Store
from sshserver.telemetry import crash_reports

EVERY_SECONDS: Final = 2.0


class Sessions(Protocol):
    """The sessions of a server."""

    def session_ids(self) -> set[int]:
        """Return the numbers of the sessions that are open here."""
        ...

    def end_sessions(self, session_ids: Iterable[int], reason: str) -> int:
        """End the given sessions, telling their users why."""
        ...


async def end_ended_sessions(server: Sessions, store: Store, every: float = EVERY_SECONDS) -> None:
    """End, for as long as the server runs, every session that an operation has ended in the database.

    A database that does not answer is asked again the next time; it is reported once until it does.
    """
    told: set[int] = set()
    failing = False
    while True:
        await asyncio.sleep(every)
        told &= server.session_ids()
        if not (asked := server.session_ids() - told):
            continue
        try:
            over = await store.read(sessions.ended_among, asked)
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever one round meets.
            if not failing:
                crash_reports.report(error, "Looking for ended sessions")
            failing = True
            continue
        failing = False
        by_reason: defaultdict[str, set[int]] = defaultdict(set)
        for session_id, reason in over.items():
            by_reason[reason].add(session_id)
        for reason, ended in by_reason.items():
            server.end_sessions(ended, reason)
        told |= over.keys()
