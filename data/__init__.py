"""The data and the rules about it: rules, storage, the store and the operations.

May import: neither `sshserver` nor `tui`, and neither Textual, asyncssh nor click.
"""
