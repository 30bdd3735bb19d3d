"""An account with many users, written straight into a SQLite file as the operations would leave it."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from support.database import services

from data.operations.actors import Operator
from data.operations.maintenance import setup
from data.operations.users import lifecycle
from data.rules.audit_events import COUNTED, COUNTED_DAYS
from data.rules.domain_types import Role
from data.rules.user_search import words
from data.storage import models
from data.storage.database import create_database
from data.store import Store

OPERATOR = Operator("bench")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
_BATCH = 5_000
_CHAINS = 8
"""Workers that write the log."""
_SYLLABLES = ("ka", "lo", "mi", "ne", "ra", "su", "ti", "vo", "ber", "dan", "fel", "gro", "hol", "jan", "wes")
_FIRST = ("Anna", "Boris", "Clara", "David", "Emil", "Fatima", "Georg", "Hanna", "Ivan", "Julia", "Kemal")
_STANDINGS = ("enrolled", "free", "obliged", "deactivated", "locked")
_WEIGHTS = (700, 200, 89, 10, 1)


def make(folder: Path, users: int) -> Path:
    """Make a database with so many users: `admin`, 500 in each practice, one in ten with a phone number.

    One in 200 is in support. Of those who are enrolled, one in 50 has set up e-mail too, and one in 100 has
    few recovery codes left.
    """
    path = folder / f"{users}-users.db"
    if path.exists():
        return path
    database = create_database(path)
    store = Store(database, services(lambda: NOW))
    admin = lifecycle.NewUser(
        "admin", "admin@clinic.example", roles=frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
    )
    store.run_now(setup.install, OPERATOR, "Clinic", admin)
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        _fill(connection, users)
    return path


def _fill(connection: sqlite3.Connection, users: int) -> None:
    chance = random.Random(7)
    practices = max(2, users // 500)
    connection.execute("PRAGMA synchronous = off")
    connection.execute("PRAGMA cache_size = -500000")
    for number in range(2, practices + 1):
        name = f"{chance.choice(_SYLLABLES).title()}{chance.choice(_SYLLABLES)} {number}"
        connection.execute("INSERT INTO practice (id, account_id, name) VALUES (?, 1, ?)", (number, name))
        _words(connection, "practice", number, words(name))
    people = _people(chance, users, practices)
    while batch := [row for _, row in zip(range(_BATCH), people, strict=False)]:
        connection.executemany(
            "INSERT INTO user (id, account_id, practice_id, name, email, full_name, phone, active, required,"
            " lost_factor, credential, attempts_left, locked_at, recovery_saved,"
            " created_at, last_signin_at, standing_since, few_codes, standing)"
            " VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, 0, 0, 7, ?, 1, 0, ?, ?, ?, ?)",
            batch,
        )
        found = [
            (row[0], word.encode()) for row in batch for word in words(row[2], row[3], row[4], phone=row[5])
        ]
        connection.executemany("INSERT INTO user_word (user_id, account_id, word) VALUES (?, 1, ?)", found)
        connection.executemany(
            "INSERT INTO factor (user_id, kind, sealed_secret, last_step, drift, barred_steps,"
            " confirmed_at) VALUES (?, 'app', x'00', 0, 0, '', 0)",
            [(row[0],) for row in batch if row[-1] == "enrolled"],
        )
        connection.executemany(
            "INSERT INTO factor (user_id, kind, sealed_secret, last_step, drift, barred_steps,"
            " confirmed_at) VALUES (?, 'email', x'', 0, 0, '', 0)",
            [(row[0],) for row in batch if row[-1] == "enrolled" and row[0] % 50 == 0],
        )
        connection.executemany(
            "INSERT INTO user_role (user_id, role) VALUES (?, 'support')",
            [(row[0],) for row in batch if row[0] % 200 == 0],
        )
    today = models.day_number(NOW)
    connection.executemany(
        "INSERT INTO event_count (account_id, day, event, chain, count) VALUES (1, ?, ?, ?, ?)",
        [
            (today - day, event.value, f"worker-{chain}", chance.randint(1, users))
            for day in range(COUNTED_DAYS)
            for event in COUNTED
            for chain in range(_CHAINS)
        ],
    )
    connection.commit()


def _words(connection: sqlite3.Connection, of: str, row_id: int, found: list[str]) -> None:
    connection.executemany(
        f"INSERT INTO {of}_word ({of}_id, account_id, word) VALUES (?, 1, ?)",
        [(row_id, word.encode()) for word in found],
    )


def _people(chance: random.Random, users: int, practices: int) -> Iterator[tuple[object, ...]]:
    for user_id in range(2, users + 1):
        first = chance.choice(_FIRST)
        last = "".join(chance.choices(_SYLLABLES, k=3)).title()
        standing = chance.choices(_STANDINGS, _WEIGHTS)[0]
        name = f"{first}.{last}{user_id}".lower()[:32]
        yield (
            user_id,
            chance.randint(1, practices),
            name,
            f"{name}@clinic.example",
            f"{first} {last}",
            f"+4930{user_id + 20000000}" if user_id % 10 == 0 else None,
            standing != "deactivated",
            standing == "obliged",
            1 if standing == "locked" else None,
            chance.randint(1, 10**15) if chance.random() < 0.8 else None,
            chance.randint(1, 10**15),
            standing == "enrolled" and user_id % 100 == 0,
            standing,
        )
