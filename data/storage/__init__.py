"""Storage: tables, migrations, sealing and hashing."""
