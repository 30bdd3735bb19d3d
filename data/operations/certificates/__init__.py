"""User certificates for other hosts: the account's authority, issuing, listing and withdrawing them.

May import: audit and what it may.
"""
