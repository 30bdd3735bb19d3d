"""Signing in: both factors, setting one up, and the sessions that this opens.

May import: audit and what it may.
"""
