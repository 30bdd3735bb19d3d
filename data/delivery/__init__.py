"""Delivers messages to their carriers, outside any transaction.

May import: all of `data`.
"""
