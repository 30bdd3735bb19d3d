"""Numbered changes of the schema, applied in order.

May import: `data.rules`, for what a migration fills in.
"""
