"""Pure rules: no clock, no input or output, no database.

May import: nothing else of Twofold.
"""
