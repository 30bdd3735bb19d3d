"""Principals: the names that certificates let their bearers in under."""

from typing import Final

ALWAYS_RESERVED: Final = frozenset({"root"})
"""Principals that only the operator gives, whatever else the settings reserve."""
