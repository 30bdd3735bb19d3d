"""What runs beside the connections, every few seconds.

May import: telemetry.
"""
