"""A member's session: who gives its commands, what must be done first, and the dialogues that lead there.

May import: `tui.cli` itself and below; not the commands, and not the app.
"""
