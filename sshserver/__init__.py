"""An SSH server that enforces two factors and hands whoever passed them to a Textual app."""
