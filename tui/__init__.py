"""What people see: the app, the commands, and the composition root.

May import: everything.
"""
