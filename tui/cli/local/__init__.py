"""Signing in on the host, without SSH: to the app or to the plain mode.

May import: everything; the app is shown here.
"""
