"""Parts of screens and dialogs.

May import: `sshserver` and `data`.
"""
