"""The command line: the composition root, where rules, server and screens are put together."""

from tui.cli.main import main

__all__ = ["main"]
