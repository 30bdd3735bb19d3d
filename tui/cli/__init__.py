"""The command line and composition root: rules, server and screens are assembled here.

May import: everything, but the app only where it is shown.
"""

from tui.cli.main import main

__all__ = ["main"]
