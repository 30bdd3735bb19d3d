"""Which processes are serving, and ending the sessions of a process that is gone.

A worker counts its heartbeats here. One that is known to be gone (its process ended, or another server
holds its home) loses its sessions at once; of the rest, one whose count does not change is presumed dead.
"""

from typing import Any

from data.storage import models
from data.store import Tx

APP_NODE = "app"
"""The node of apps on hosts, each its own worker: starting a server ends none of them."""
LOST_TOUCH = "The server could not reach its database for too long. Sign in again."


def beat(tx: Tx, worker: str, node: str) -> None:
    """Count a heartbeat of a worker, including the first.

    A worker that was presumed dead is back, without the sessions that it had.
    """
    table = models.Worker
    counted = (
        table.update({table.beat: table.beat + 1, table.seen_at: tx.now}).where(table.id == worker).execute()
    )
    if not counted:
        _end_sessions(tx, models.Session.worker == worker, LOST_TOUCH)
        table.insert(id=worker, node=node, beat=1, started_at=tx.now, seen_at=tx.now).execute()


def beats(_tx: Tx) -> dict[str, int]:
    """Return how far each worker has counted."""
    return {worker.id: worker.beat for worker in models.Worker.select()}


def presume_dead(tx: Tx, worker: str, beat: int) -> int:
    """End the sessions of a worker whose count is still no higher than `beat`; return how many there were."""
    table = models.Worker
    if not table.delete().where((table.id == worker) & (table.beat == beat)).execute():
        return 0
    return _end_sessions(tx, models.Session.worker == worker, LOST_TOUCH)


def leave(tx: Tx, worker: str) -> int:
    """End the sessions of a worker whose process has ended; return how many there were."""
    models.Worker.delete().where(models.Worker.id == worker).execute()
    return _end_sessions(tx, models.Session.worker == worker)


def take_node(tx: Tx, node: str) -> int:
    """End the sessions that a killed server of this node has left open, before another one serves it.

    This also ends sessions that no process holds, such as those of old apps without heartbeats. Only the
    holder of the node's home may call it. Return how many there were.
    """
    table = models.Worker
    table.delete().where(table.node == node).execute()
    held = models.Session.worker
    return _end_sessions(tx, held.is_null() | held.not_in(table.select(table.id)))


def _end_sessions(tx: Tx, which: Any, because: str = "") -> int:
    table = models.Session
    ending = table.update(ended_at=tx.now, ended_because=because)
    return int(ending.where(which, table.ended_at.is_null()).execute())
