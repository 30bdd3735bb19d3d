"""The members' tree of commands, and running it over SSH.

May import: the plain mode and below; not the app.
"""
