"""Modal questions: a dialog returns what was answered, and changes nothing itself.

May import: widgets, `sshserver` and `data`.
"""
