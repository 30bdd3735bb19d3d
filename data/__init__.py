"""What is true and what is allowed: rules, storage, the store and the operations.

May import: neither `sshserver` nor `tui`, and neither Textual, asyncssh nor click.
"""
