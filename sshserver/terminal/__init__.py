"""The client's terminal: what it can show, and what it sends.

May import: `sshserver.limits`.
"""
