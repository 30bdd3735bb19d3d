"""A second process on a test's database: reads `SECONDS ANSWER` lines and prints what became of each."""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from support.database import PASSWORD, services

from data.operations.signin import first_factor, second_factor
from data.rules.domain_types import Application
from data.rules.source_addresses import Origin
from data.storage.database import Place, PostgresqlUrl, open_database
from data.store import Store


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def place_of(text: str) -> Place:
    return PostgresqlUrl.parse(text) if text.startswith("postgresql:") else Path(text)


def main(where: str, name: str) -> None:
    moment = datetime.fromtimestamp(int(sys.stdin.readline()), UTC)

    def clock() -> datetime:
        return moment

    # A server's process writes a chain of audit rows of its own.
    mine = replace(services(clock), chain=f"worker {os.getpid()}")
    store = Store(open_database(place_of(where)), mine)
    origin = Origin(Application.SSH, "192.0.2.77")
    candidate = store.run_now(first_factor.find_candidate, name, origin)
    right = store.services.hasher.verify(candidate.password_hash, PASSWORD)
    needed = store.run_now(first_factor.settle_password, candidate, right=right)
    say("ready")
    for line in sys.stdin:
        seconds, answer = line.split()
        moment = datetime.fromtimestamp(int(seconds), UTC)
        say(type(store.run_now(second_factor.submit_code, needed.attempt, answer)).__name__)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
