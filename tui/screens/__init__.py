"""Screens: each runs operations and shows their results, and decides nothing.

May import: dialogs, widgets, `sshserver` and `data`.
"""
