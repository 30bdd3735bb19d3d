"""The processes that serve one node: their beats, and starting those again that die.

May import: limits and telemetry.
"""
