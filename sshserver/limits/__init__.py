"""The limits on what a client may use, and the counters that enforce them.

May import: `data`.
"""
