"""The account's two-factor policy: the mode, the methods, and the progress of its users.

May import: users and what it may.
"""
