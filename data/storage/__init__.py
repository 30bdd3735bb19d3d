"""Tables, migrations, sealing and hashing, and the files of a home.

May import: `data.rules`.
"""
