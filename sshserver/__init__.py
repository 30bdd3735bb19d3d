"""An SSH server that enforces two factors and gives users who passed them a Textual app."""
