"""The tests that must pass at every start before the port opens.

May import: all of `sshserver` except the server itself.
"""
