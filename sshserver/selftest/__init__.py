"""What is proven at every start before the port answers.

May import: all of `sshserver` but the server itself.
"""
