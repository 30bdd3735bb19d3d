"""Certificate authorities, the certificates that they issued, and the principals that those bear."""

from typing import Any

from peewee import (
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    Model,
    TextField,
)
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: Database) -> None:
    """Create the tables, and add the policy to every account: no certificates."""
    # Not by the migrator, which would make the table anew while others refer to it.
    run: Any = db.execute_sql
    run("ALTER TABLE account ADD COLUMN certificate_hours INTEGER NOT NULL DEFAULT 0")
    run("ALTER TABLE account ADD COLUMN certificate_extensions VARCHAR(120) NOT NULL DEFAULT 'pty'")

    class _Table(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Account(_Table):
        pass

    class Practice(_Table):
        pass

    class User(_Table):
        pass

    class Session(_Table):
        pass

    class CertificateAuthority(_Table):
        id = AutoField()
        account = ForeignKeyField(Account, on_delete="RESTRICT")
        public_key = CharField(max_length=120)
        fingerprint = CharField(max_length=64)
        sealed_key = BlobField()
        created_at = BigIntegerField()
        retired_at = BigIntegerField(null=True)

    class UserPrincipal(_Table):
        user: Any = ForeignKeyField(User, on_delete="CASCADE", index=False)
        principal = CharField(max_length=64)
        by_operator = BooleanField()

        class Meta:
            primary_key = CompositeKey("user", "principal")

    class PracticePrincipal(_Table):
        practice: Any = ForeignKeyField(Practice, on_delete="CASCADE", index=False)
        principal = CharField(max_length=64)
        by_operator = BooleanField()

        class Meta:
            primary_key = CompositeKey("practice", "principal")

    class Certificate(_Table):
        serial = BigIntegerField(primary_key=True)
        authority = ForeignKeyField(CertificateAuthority, on_delete="RESTRICT")
        user: Any = ForeignKeyField(User, on_delete="RESTRICT", index=False)
        session = ForeignKeyField(Session, null=True, on_delete="SET NULL")
        key_id = CharField(max_length=200)
        fingerprint = CharField(max_length=64)
        principals = TextField()
        source_addresses = TextField(default="")
        issued_at = BigIntegerField()
        until: Any = BigIntegerField(index=True)
        withdrawn_at = BigIntegerField(null=True)
        withdrawn_because = CharField(max_length=120, default="")

        class Meta:
            indexes = ((("user", "until"), False),)

    db.create_tables([CertificateAuthority, UserPrincipal, PracticePrincipal, Certificate])
