"""The account's two-factor policy: the mode, the methods, and how far its users are.

May import: users and what it may.
"""
