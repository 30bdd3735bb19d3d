"""Signing in: both factors, enrolling one, and the sessions that this opens.

May import: certificates and what it may.
"""
