"""One channel is one session: the app, its driver, and the time after which nobody is there.

May import: compat and what it may.
"""
