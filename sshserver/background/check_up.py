"""Checking up: what is cheap to check is known to every screen without being checked for it."""

from typing import Final

from data.operations.maintenance import doctor_facts
from data.store import Store

CHECK_UP_SECONDS: Final = 300.0


async def check_up(store: Store) -> None:
    """Keep what is wrong now for the screens that show it."""
    store.services.check_up.findings = await store.read(doctor_facts.check_quickly)
