"""Modal questions: a dialog returns the answer and changes nothing itself.

May import: widgets, `sshserver` and `data`.
"""
