"""One connection, from its first byte to its session.

May import: session, and what it may.
"""
