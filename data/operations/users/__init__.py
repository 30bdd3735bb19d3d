"""Users, practices and roles: reading, changing, importing, and acting on another user's factors.

May import: signin and what it may.
"""
