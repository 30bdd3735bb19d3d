"""The session of one channel: its app, its driver and its idle timeout.

May import: the server's context, compat, and what they may.
"""
