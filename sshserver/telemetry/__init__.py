"""What is told of connections and failures: to the log and to the metrics.

May import: `data`.
"""
