"""An SSH server that enforces two factors and serves a Textual app to users who pass them.

May import: `data`. The app is passed to it.
"""
