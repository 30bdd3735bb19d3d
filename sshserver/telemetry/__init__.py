"""Records of connections and failures, in the log and the metrics.

May import: `data`.
"""
