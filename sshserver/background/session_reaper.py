"""Closing sessions that have ended in the database: one small query for all, every few seconds."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Protocol

from data.operations.signin import sessions
from data.store import Store

EVERY_SECONDS: Final = 2.0


class Sessions(Protocol):
    """The sessions of a server."""

    def session_ids(self) -> set[int]:
        """Return the numbers of the sessions that are open here."""
        ...

    def end_sessions(self, session_ids: Iterable[int], reason: str) -> int:
        """End these sessions and show their users the reason."""
        ...


async def end_ended_sessions(server: Sessions, store: Store, told: set[int]) -> None:
    """End every session that has ended in the database, except those already in `told`."""
    told &= server.session_ids()
    if not (asked := server.session_ids() - told):
        return
    by_reason: defaultdict[str, set[int]] = defaultdict(set)
    for session_id, reason in (await store.read(sessions.ended_among, asked)).items():
        by_reason[reason].add(session_id)
    for reason, ended in by_reason.items():
        server.end_sessions(ended, reason)
        told |= ended
