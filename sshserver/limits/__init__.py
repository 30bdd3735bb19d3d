"""The numbers that bound what a client may take, and the counters that hold it to them.

May import: `data`.
"""
