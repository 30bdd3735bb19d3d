"""Background work that runs every few seconds.

May import: telemetry.
"""
