"""An account's policy: the mode and what follows from it, the methods, remembering."""
