"""One connection, from its first byte to the session that it opens.

May import: the server's context, session and what they may.
"""
