"""Numbered changes of the schema, applied in order."""
