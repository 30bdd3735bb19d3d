"""A real `twofold key rotate` that kills itself like `kill -9`, before its step of a number."""

import os
import signal
import sys
from functools import partial

from data.operations.maintenance import master_key
from data.storage.home import Home
from data.store import Store
from tui.cli.main import main

steps = 0
DEADLY = int(sys.argv.pop(1))


def counted(method):
    def step(*args, **kwargs):
        global steps  # noqa: PLW0603 - the count is of the process.
        steps += 1
        if steps == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args, **kwargs)

    return step


def main_in_batches_of_one() -> None:
    master_key.reseal_batch = partial(master_key.reseal_batch, limit=1)
    Store.run_now = counted(Store.run_now)
    Home.write_ring = counted(Home.write_ring)
    os.fsync = counted(os.fsync)
    main()


if __name__ == "__main__":
    main_in_batches_of_one()
