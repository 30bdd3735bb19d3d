"""One connection, from its first byte to the session that it opens.

May import: session, and what it may.
"""
