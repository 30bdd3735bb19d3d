"""Modal questions. A dialog returns what was answered; it changes nothing itself."""
