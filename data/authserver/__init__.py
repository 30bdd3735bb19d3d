"""Other applications ask whether their users may sign in, and operations answer.

May import: everything in data.
"""
