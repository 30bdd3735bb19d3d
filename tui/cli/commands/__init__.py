"""The commands of `twofold`: each turns its arguments into one operation and renders the result.

May import: `tui.cli` and below; not the app, which `serve` and the local sign-in alone hand on.
"""
