"""`make bench`: compares Twofold with other servers, with itself under load, and with its goals."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import (
    applications,
    certificates,
    commands,
    jumps,
    many_users,
    replays,
    sessions,
    signing_in,
    verifying,
)
from bench.report import Result, show, write

SECTIONS = {
    "signing-in-key": partial(signing_in.measure, factor="key"),
    "signing-in-password": partial(signing_in.measure, factor="password"),
    "signing-in-postgresql": signing_in.measure_postgresql,
    "replays": replays.measure,
    "verifying": verifying.measure,
    "sessions": sessions.measure,
    "commands": commands.measure,
    "applications": applications.measure,
    "certificates": certificates.measure,
    "jumps": jumps.measure,
    "many-users": many_users.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for, and print and write it."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each: to see that it runs")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="measure this section (repeatable)")
    parser.add_argument(
        "--before",
        metavar="REV",
        help="compare signing in with this commit (the one that this branch began from)",
    )
    parser.add_argument("--json", type=Path, default=Path(".bench/bench.json"), help="where the figures go")
    given = parser.parse_args(arguments)
    # What was made on this machine is taken away again, also by whoever is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    results: list[Result] = []
    for name in given.only or SECTIONS:
        with TemporaryDirectory(prefix="twofold-bench-") as folder:
            measure = SECTIONS[name]
            if name.startswith("signing-in"):
                measure = partial(measure, revision=given.before)
            found = list(measure(Path(folder), quick=given.quick))
        show(found)
        results += found
    write(given.json, results, quick=given.quick)
    print(f"\nWritten to {given.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
