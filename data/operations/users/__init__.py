"""People: reading, changing and importing them, and what administrators do to their factors."""
