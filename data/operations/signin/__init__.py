"""Signing in: both factors, enrolling one, and the sessions that this opens.

May import: audit and what it may.
"""
