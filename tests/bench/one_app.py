"""The app in a process of its own, without SSH, that sessions over SSH are compared with.

It opens once for each name; before every time but the first it says so and waits for a line, so that what
the opening of a process costs and what the app costs can be told apart.
"""

import gc
import shutil
import sys
from pathlib import Path

from bench.client import code
from bench.enrolled_users import SECRET

from data.operations.signin.admission import Admitted, Attempt
from data.operations.signin.first_factor import find_candidate
from data.operations.signin.second_factor import submit_code
from data.rules.domain_types import Application, FirstFactor
from data.rules.source_addresses import Origin
from data.storage.home import Home
from sshserver.limits.limit_values import Limits
from sshserver.terminal.capabilities import describe
from tui.app import TwofoldApp
from tui.cli.open_installation import installation, system_clock

_ORIGIN = Origin(Application.LOCAL, "local")


def _main(home: Path, names: list[str]) -> None:
    with installation(Home(home), f"bench-{names[0]}") as here:
        for name in names:
            candidate = here.store.run_now(find_candidate, name, _ORIGIN)
            (fingerprint,) = candidate.key_fingerprints
            attempt = Attempt(candidate.user_id or 0, name, _ORIGIN, FirstFactor.KEY, fingerprint)
            admitted = here.store.run_now(submit_code, attempt, code(SECRET))
            assert isinstance(admitted, Admitted), admitted
            size = shutil.get_terminal_size()
            terminal = describe("xterm-256color", {}, (size.columns, size.lines), Limits())
            if name != names[0]:
                gc.collect()
                gc.freeze()  # As a server does with what it starts with.
                print("again?", flush=True)
                sys.stdin.readline()
            TwofoldApp(
                here.store, session=admitted.session, origin=_ORIGIN, clock=system_clock, terminal=terminal
            ).run()


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
