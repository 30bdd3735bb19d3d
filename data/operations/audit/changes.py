"""What happened lately in the whole installation, so that a screen can follow it.

Every act and every sign-in moves the head of an audit chain in its own transaction, and a process that is
gone takes its sessions with it as it leaves the list of workers. So one short statement tells whether
anything changed, in this process or in another, however many rows there are.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, ClassVar, Final, NamedTuple

from data.operations.audit.chain import raw
from data.rules.audit_events import Event
from data.storage import models
from data.store import Store, StoreUnavailableError, Tx

_MOST: Final = 200
"""Changes that are told apart; of more at once it is only known that there are some."""
_HEADS: Final = "SELECT name, seq FROM audit_chain UNION ALL SELECT id, 0 FROM worker"


class Change(NamedTuple):
    """What a row of the audit log says of whom; `account` is its account's ID."""

    account: int | None
    event: str
    user: str | None
    actor: str

    def is_about(self, name: str) -> bool:
        """Return whether it is about this user, by this user, or about everyone."""
        return self.user is None or name in (self.user, self.actor)

    @property
    def is_quiet_signin(self) -> bool:
        """Whether it is part of a sign-in, and changes nothing of its user but when they last signed in."""
        return self.event.startswith("signin.") and self.event != Event.LOCKED


Heads = dict[str, int]
"""How far each chain has come, and 0 for each worker."""


def changes_since(_tx: Tx, before: Heads | None) -> tuple[Heads, list[Change] | None]:
    """Read the heads, and what was written since they were `before`; None if that cannot be told."""
    heads: Heads = dict(models.database.execute_sql(_HEADS))
    if before is None or heads.keys() != before.keys():
        return heads, None
    gained = {name: seq - before[name] for name, seq in heads.items() if seq != before[name]}
    if sum(gained.values()) > _MOST:
        return heads, None
    return heads, [change for name in gained for change in _written(name, before[name])]


def _written(chain: str, after: int) -> list[Change]:
    table = models.AuditEntry
    columns: list[Any] = [table.account, table.event, table.user, table.actor]
    rows = table.select(*columns).where((table.chain == chain) & (table.seq > after))
    return [Change(*row) for row in raw(rows.order_by(table.seq).limit(_MOST))]


class ChangeFeed:
    """The changes in a process's database, read when asked for, and at most once a second for all who ask."""

    SECONDS: ClassVar[float] = 1.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._read_at = -self.SECONDS
        self._heads: Heads | None = None
        self._recent: deque[Change] = deque(maxlen=_MOST)
        self.mark = 0
        """How many changes are known. What is read from the database from now on holds all of these."""

    async def since(self, mark: int) -> tuple[int, Sequence[Change] | None]:
        """Return the present mark and the changes since an earlier one; None if there may have been any.

        This is also so when the database does not answer: who asked reads, and says so.
        """
        async with self._turn:
            if time.monotonic() - self._read_at >= self.SECONDS:
                await self._read()
        missed = self.mark - mark
        if missed > len(self._recent):
            return self.mark, None
        return self.mark, list(islice(self._recent, len(self._recent) - missed, None))

    async def _read(self) -> None:
        try:
            self._heads, changes = await self._store.read(changes_since, self._heads)
        except StoreUnavailableError:
            changes = None
        self._read_at = time.monotonic()
        if changes is None:
            self._recent.clear()
            self.mark += 1
        else:
            self._recent.extend(changes)
            self.mark += len(changes)
