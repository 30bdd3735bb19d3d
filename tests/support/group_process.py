"""A process that writes in groups until it is killed, and prints `NAME NUMBER` for what was answered."""

import asyncio
import sys
from datetime import UTC, datetime

from support.database import services
from support.database_process import place_of, say

from data.storage import models
from data.storage.database import open_database
from data.store import Store, Tx

USERS = 8


def count(_tx: Tx, name: str, number: int) -> int:
    """Write a number in two places, by two statements."""
    mine = models.User.name == name
    models.User.update(wrong_answers=str(number)).where(mine).execute()
    models.User.update(known_places=str(number)).where(mine).execute()
    return number


async def write(store: Store) -> None:
    async def one(name: str) -> None:
        number = 0
        while True:
            number += 1
            say(f"{name} {await store.run_with_others(count, name, number)}")

    await asyncio.gather(*(one(f"user{number}") for number in range(USERS)))


if __name__ == "__main__":
    asyncio.run(write(Store(open_database(place_of(sys.argv[1])), services(lambda: datetime.now(UTC)))))
