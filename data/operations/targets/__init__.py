"""Targets: the hosts that users may reach through the server, and the jumps that are open to them.

May import: users and what it may.
"""
