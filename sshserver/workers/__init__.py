"""Several processes of one node that share a port: starting them, and starting those again that die.

May import: limits and telemetry. What the processes run is given to them.
"""
