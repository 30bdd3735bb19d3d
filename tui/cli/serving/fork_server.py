"""The workers of a node: `python -m tui.cli.serving.fork_server`, started only by `twofold serve`."""

import os

from sshserver.workers.fork_server import serve_forks
from tui.cli.command_groups import load

if __name__ == "__main__":
    os.umask(0o077)
    serve_forks(load("tui.cli.serving.worker:work"))
