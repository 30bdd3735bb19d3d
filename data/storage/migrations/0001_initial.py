"""The first schema: a frozen copy, which later changes to the tables leave as it is."""

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    Model,
    SqliteDatabase,
    TextField,
)
from playhouse.migrate import SchemaMigrator


def up(_migrator: SchemaMigrator, db: SqliteDatabase) -> None:
    """Create every table."""

    class Installation(Model):
        key_check = CharField(max_length=32)
        created_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "installation"

    class Account(Model):
        name = CharField(unique=True, max_length=120)
        mode = CharField(max_length=16)
        remember_days = IntegerField(default=0)
        permanent_at = BigIntegerField(null=True)
        permanent_by = CharField(null=True, max_length=40)
        app_on = BooleanField(default=True)
        sms_on = BooleanField(default=False)
        email_on = BooleanField(default=False)
        created_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "account"

    class Practice(Model):
        account = ForeignKeyField(Account, on_delete="RESTRICT")
        name = CharField(max_length=120)

        class Meta:
            database = db
            table_name = "practice"
            indexes = ((("account", "name"), True),)

    class User(Model):
        account = ForeignKeyField(Account, on_delete="RESTRICT")
        practice = ForeignKeyField(Practice, on_delete="RESTRICT")
        name = CharField(unique=True, max_length=32)
        email = CharField(unique=True, max_length=254)
        full_name = CharField(max_length=120, default="")
        phone = CharField(null=True, max_length=16)
        active = BooleanField(default=True)
        required = BooleanField(default=False)
        lost_factor = BooleanField(default=False)
        password_hash = CharField(null=True, max_length=200)
        one_time_password = BooleanField(default=False)
        credential = IntegerField(default=0)
        attempts_left = IntegerField()
        locked_at = BigIntegerField(null=True)
        recovery_saved = BooleanField(default=True)
        created_at = BigIntegerField()
        last_signin_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "user"

    class UserRole(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        role = CharField(max_length=20)

        class Meta:
            database = db
            table_name = "user_role"
            primary_key = CompositeKey("user", "role")

    class PublicKey(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        algorithm = CharField(max_length=64)
        blob = TextField()
        fingerprint = CharField(max_length=64)
        comment = CharField(max_length=120, default="")
        added_at = BigIntegerField()
        last_used_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "public_key"
            indexes = ((("user", "fingerprint"), True),)

    class Factor(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        kind = CharField(max_length=16)
        sealed_secret = BlobField()
        last_step = BigIntegerField()
        last_offset = IntegerField(null=True)
        drift = IntegerField(default=0)
        resync_until = BigIntegerField(null=True)
        resync_step = BigIntegerField(null=True)
        destination = CharField(null=True, max_length=254)
        confirmed_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "factor"
            indexes = ((("user", "kind"), True),)

    class RecoveryCode(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        selector = CharField(max_length=4)
        secret_hash = CharField(max_length=200)
        used_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "recovery_code"
            indexes = ((("user", "selector"), True),)

    class RememberedAddress(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        address = CharField(max_length=64)
        credential = CharField(max_length=80)
        accepted_at = BigIntegerField()
        until = BigIntegerField()

        class Meta:
            database = db
            table_name = "remembered_address"
            indexes = ((("user", "address", "credential"), True),)

    class SentCode(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        purpose = CharField(max_length=16)
        method = CharField(max_length=16)
        destination = CharField(max_length=254)
        digest = CharField(max_length=64)
        sent_at = BigIntegerField()
        failed = BooleanField(default=False)
        wrong_tries = IntegerField(default=0)
        used_at = BigIntegerField(null=True)
        void = BooleanField(default=False)

        class Meta:
            database = db
            table_name = "sent_code"
            indexes = (
                (("user", "sent_at"), False),
                (("destination", "sent_at"), False),
                (("sent_at",), False),
            )

    class Session(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        application = CharField(max_length=16)
        address = CharField(max_length=64)
        first_factor = CharField(max_length=16)
        methods = CharField(max_length=80, default="")
        credential = CharField(max_length=80)
        code_proven = BooleanField(default=False)
        restricted = BooleanField(default=False)
        started_at = BigIntegerField()
        fresh_at = BigIntegerField(null=True)
        ended_at = BigIntegerField(null=True)
        ended_because = CharField(max_length=120, default="")

        class Meta:
            database = db
            table_name = "session"

    class ImportBatch(Model):
        account = ForeignKeyField(Account, on_delete="CASCADE")
        begun_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "import_batch"

    class StagedUser(Model):
        batch = ForeignKeyField(ImportBatch, on_delete="CASCADE")
        row = IntegerField()
        name = CharField(max_length=32)
        email = CharField(max_length=254)
        full_name = CharField(max_length=120)
        phone = CharField(null=True, max_length=16)
        practice = ForeignKeyField(Practice, on_delete="CASCADE")
        required = BooleanField()
        algorithm = CharField(max_length=64)
        blob = TextField()
        fingerprint = CharField(max_length=64)
        comment = CharField(max_length=120)

        class Meta:
            database = db
            table_name = "staged_user"

    class AuditEntry(Model):
        at = BigIntegerField()
        account = ForeignKeyField(Account, null=True, on_delete="RESTRICT")
        event = CharField(max_length=40)
        actor = CharField(max_length=40)
        user = CharField(null=True, max_length=40)
        application = CharField(max_length=16)
        address = CharField(max_length=64)
        detail = TextField()

        class Meta:
            database = db
            table_name = "audit_entry"
            indexes = ((("account", "user"), False), (("account", "event"), False))

    class FirstFactorFailures(Model):
        source = CharField(max_length=64)
        bucket = IntegerField()
        minute = BigIntegerField()
        count = IntegerField()

        class Meta:
            database = db
            table_name = "first_factor_failures"
            primary_key = CompositeKey("source", "bucket", "minute")
            indexes = ((("minute",), False),)

    db.create_tables(
        [
            Installation,
            Account,
            Practice,
            User,
            UserRole,
            PublicKey,
            Factor,
            RecoveryCode,
            RememberedAddress,
            SentCode,
            Session,
            ImportBatch,
            StagedUser,
            AuditEntry,
            FirstFactorFailures,
        ]
    )
