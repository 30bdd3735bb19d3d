"""Signing in: both factors, setting one up, and the sessions that this opens."""
