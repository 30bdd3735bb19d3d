"""Several processes of one node that share a port: how they are started and restarted.

May import: limits and telemetry. The caller provides what the processes run.
"""
