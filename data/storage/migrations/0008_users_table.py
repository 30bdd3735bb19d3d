"""What lets the users table be searched, filtered and paged through indexes, however many users there are."""

from collections.abc import Iterable
from typing import Any

from peewee import (
    BlobField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    SqliteDatabase,
)
from playhouse.migrate import SchemaMigrator

from data.rules.user_search import words

_ROWS = 200
_STANDING = """
UPDATE "user" SET standing = CASE
    WHEN NOT active THEN 'deactivated'
    WHEN locked_at IS NOT NULL THEN 'locked'
    WHEN EXISTS (
        SELECT 1 FROM factor, account
        WHERE factor.user_id = "user".id AND account.id = "user".account_id
        AND ((factor.kind = 'app' AND account.app_on) OR (factor.kind = 'sms' AND account.sms_on)
            OR (factor.kind = 'email' AND account.email_on))
    ) THEN 'enrolled'
    WHEN required OR lost_factor OR EXISTS (
        SELECT 1 FROM user_role
        WHERE user_role.user_id = "user".id AND user_role.role IN ('system_admin', 'security_admin')
    ) THEN 'obliged'
    ELSE 'free'
END
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add the standing and the words, fill both, and index what the table is sorted by."""

    class Account(Model):
        class Meta:
            database = db
            table_name = "account"

    class Practice(Model):
        account = ForeignKeyField(Account)
        name = CharField()

        class Meta:
            database = db
            table_name = "practice"

    class User(Model):
        account = ForeignKeyField(Account)
        name = CharField()
        email = CharField()
        full_name = CharField()
        phone = CharField()

        class Meta:
            database = db
            table_name = "user"

    # Only SQLite has tables without row numbers, and needs them: the key is the whole of the row.
    bare = isinstance(db, SqliteDatabase)

    class UserWord(Model):
        user = ForeignKeyField(User, on_delete="CASCADE", index=False)
        word = BlobField()
        account_id = IntegerField()

        class Meta:
            database = db
            table_name = "user_word"
            primary_key = CompositeKey("user", "word")
            indexes = ((("account_id", "word", "user"), False),)
            without_rowid = bare

    class PracticeWord(Model):
        practice = ForeignKeyField(Practice, on_delete="CASCADE", index=False)
        word = BlobField()
        account_id = IntegerField()

        class Meta:
            database = db
            table_name = "practice_word"
            primary_key = CompositeKey("practice", "word")
            indexes = ((("account_id", "word", "practice"), False),)
            without_rowid = bare

    class ImportBatch(Model):
        class Meta:
            database = db
            table_name = "import_batch"

    class StagedWord(Model):
        batch = ForeignKeyField(ImportBatch, on_delete="CASCADE")
        name = CharField(max_length=32)
        word = BlobField()

        class Meta:
            database = db
            table_name = "staged_word"

    db.create_tables([UserWord, PracticeWord, StagedWord])
    # What an import has staged has no words: it is to be started again.
    ImportBatch.delete().execute()
    for user in _by_id(User):
        _insert(
            UserWord,
            user=user.id,
            account_id=user.account_id,
            found=words(user.name, user.email, user.full_name, phone=user.phone),
        )
    for practice in _by_id(Practice):
        _insert(
            PracticeWord, practice=practice.id, account_id=practice.account_id, found=words(practice.name)
        )
    migrator.database.execute_sql(
        """ALTER TABLE "user" ADD COLUMN standing VARCHAR(12) NOT NULL DEFAULT 'free'"""
    )
    migrator.database.execute_sql(_STANDING)
    # The new indexes begin with what these hold.
    migrator.migrate(
        migrator.drop_index("user", "user_account_id"), migrator.drop_index("user", "user_practice_id")
    )
    for scope in ("account_id", "practice_id"):
        for columns in (["name"], ["email"], ["last_signin_at", "id"]):
            migrator.migrate(migrator.add_index("user", [scope, "standing", *columns]))


def _by_id(table: Any) -> Iterable[Any]:
    """Read every row, some at a time."""
    after = 0
    while rows := list(table.select().where(table.id > after).order_by(table.id).limit(_ROWS)):
        yield from rows
        after = rows[-1].id


def _insert(table: type[Model], *, found: list[str], **columns: int) -> None:
    rows = [{**columns, "word": word.encode()} for word in found]
    if rows:
        table.insert_many(rows).execute()
