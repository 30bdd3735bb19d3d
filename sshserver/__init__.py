"""An SSH server that enforces two factors and gives users who passed them a Textual app.

May import: `data`. The app is given to it.
"""
