"""Hands messages over to their carriers, outside of any transaction.

May import: all of `data`.
"""
