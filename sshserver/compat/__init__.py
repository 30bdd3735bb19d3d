"""The only files that touch private names of asyncssh and Textual, which are pinned for them.

May import: terminal, telemetry and limits.
"""
