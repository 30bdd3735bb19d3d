"""Applications that ask whether their users may sign in: registering them, and judging what they ask.

May import: users and what it may.
"""
