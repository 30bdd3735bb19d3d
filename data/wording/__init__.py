"""Sentences about operations and their results that several faces say.

May import: `data.operations` and below.
"""
