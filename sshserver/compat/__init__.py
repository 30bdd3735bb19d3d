"""The only files that use private names of asyncssh and Textual, whose versions are pinned for them.

May import: terminal, telemetry and limits.
"""
