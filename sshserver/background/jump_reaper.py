"""Ending jumps whose user may no longer reach the target, and keeping what the others have carried."""

from collections.abc import Mapping
from typing import Final, Protocol

from data.operations.targets.jumps import close_abandoned, has_abandoned, jumps_to_close, note_bytes
from data.store import Store

NOTE_SECONDS: Final = 5.0
"""How often the bytes of open jumps are kept."""


class Jumps(Protocol):
    """The jumps of a server."""

    def jump_ids(self) -> set[int]:
        """Return the numbers of all open jumps."""
        ...

    def end_jumps(self, reasons: Mapping[int, str]) -> None:
        """End these jumps, each for its reason."""
        ...

    def carried(self) -> dict[int, tuple[int, int]]:
        """Return what those jumps have carried that carried anything since this was last called."""
        ...


async def end_ended_jumps(server: Jumps, store: Store) -> None:
    """End every jump that its user may no longer have: the target, the grant or the session is gone."""
    if asked := server.jump_ids():
        server.end_jumps(await store.read(jumps_to_close, asked))


async def note_carried(server: Jumps, store: Store) -> None:
    """Keep in the database what open jumps have carried, for all nodes to see."""
    if carried := server.carried():
        await store.run(note_bytes, carried)


async def close_left_behind(store: Store) -> None:
    """Record the end of jumps whose server is gone; nothing is written while there are none."""
    if await store.read(has_abandoned):
        await store.run(close_abandoned)
