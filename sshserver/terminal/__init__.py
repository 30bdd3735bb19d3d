"""What the client's terminal can show, and what it sends.

May import: `sshserver.limits`.
"""
