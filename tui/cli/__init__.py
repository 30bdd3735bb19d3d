"""The command line: the composition root, where rules, server and screens are put together.

May import: everything; the app only where it is shown.
"""

from tui.cli.main import main

__all__ = ["main"]
