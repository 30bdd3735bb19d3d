"""`twofold serve`: a node, its workers, and what answers other applications.

May import: everything; the app is made here for whoever signs in.
"""
