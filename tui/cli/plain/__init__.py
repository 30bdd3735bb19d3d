"""The plain mode: a prompt for a member's commands, and text that stays where it is.

May import: the commands and below; not the app.
"""
