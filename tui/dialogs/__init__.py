"""Modal questions, made from widgets. A dialog returns what was answered; it changes nothing itself."""
