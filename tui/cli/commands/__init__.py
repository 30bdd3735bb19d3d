"""The commands of `twofold`: each turns its arguments into one operation and renders the result.

May import: `tui.cli` and below; not the app, which only `serve` and the local sign-in pass on.
"""
