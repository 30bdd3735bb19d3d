"""One channel is one session: the app, its driver, and the time after which nobody is there.

May import: the server's context, compat, and what they may.
"""
