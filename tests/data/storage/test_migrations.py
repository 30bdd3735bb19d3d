"""What migrations fill in of what was there before them, on both databases."""

import json
import shutil
import time
from pathlib import Path

from support.database import counted_users

from data.operations.users import import_staging
from data.rules.audit_chain import KEY_BYTES
from data.storage import database, models
from data.storage.database import Database, create_database, migrate
from data.storage.postgresql import PostgresqlUrl
from data.storage.vault import Vault
from data.store import Store, open_services

FIRST = "0015_one_time_passwords"
APART = "0029_rows_of_imports"
COUNTED = "0031_kept_counts"
EXPIRING = "0036_temporary_codes"
PLACES = "0037_known_places"
PLAIN = "0043_plain_mode"
ATTRIBUTES = "0044_radius_attributes"
DAY = 86_400_000_000
TODAY = int(time.time()) * 1_000_000 // DAY


def older_than(first: str, tmp_path: Path, monkeypatch, server) -> Database:
    """Make a database as it was before a migration, which `migrate` then applies with all that follow."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(database.__file__).parent / "migrations", folder)
    for path in folder.glob("[0-9]*.py"):
        if path.stem >= first:
            path.unlink()
    with monkeypatch.context() as before:
        before.setattr(database, "_MIGRATIONS", folder)
        place = PostgresqlUrl.parse(server.url(server.new_database())) if server else tmp_path / "twofold.db"
        return create_database(place)


def add_people(made) -> None:
    """Put two users into the tables of before, and a code that was sent to the second one."""
    run = made.execute_sql
    for name in ("Clinic", "Surgery"):
        run(
            "INSERT INTO account (name, mode, remember_days, app_on, sms_on, email_on, created_at)"
            f" VALUES ('{name}', 'optional', 0, true, false, false, 0)"
        )
    run("INSERT INTO practice (account_id, name) VALUES (1, 'Main'), (2, 'Main')")
    for number, (name, one_time) in enumerate((("anna", "true"), ("ben", "false")), 1):
        run(
            'INSERT INTO "user" (account_id, practice_id, name, email, full_name, active, required,'
            " lost_factor, one_time_password, credential, attempts_left, recovery_saved, created_at)"
            f" VALUES ({number}, {number}, '{name}', '{name}', '', true, false,"
            f" false, {one_time}, 0, 7, true, 0)"
        )
    run("INSERT INTO user_role (user_id, role) VALUES (2, 'support')")
    run(
        "INSERT INTO sent_code"
        " (user_id, purpose, method, destination, digest, sent_at, failed, wrong_tries, void)"
        " VALUES (2, 'proof', 'email', 'ben', 'digest', 0, false, 0, false)"
    )


def test_rows_get_end_account_and_standing(tmp_path, monkeypatch, server):
    older = older_than(FIRST, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_people(older)
        before = time.time()
        assert migrate(older)[0] == FIRST
        models.database.initialize(older)
        ends = {row.name: row.one_time_until for row in models.User.select()}
        assert [(row.user_id, row.account_id) for row in models.SentCode.select()] == [(2, 2)]
        standing = {row.name: row.standing for row in models.User.select()}
    assert ends["ben"] is None
    assert standing == {"anna": "free", "ben": "obliged"}
    assert int(before) <= ends["anna"].timestamp() - 72 * 3600 <= time.time()


def add_imports(made) -> None:
    """Put three imports into the tables of before: under way, dropped, and published but not told of."""
    run = made.execute_sql
    run(
        "INSERT INTO account (name, mode, remember_days, app_on, sms_on, email_on, created_at)"
        " VALUES ('Clinic', 'optional', 0, true, false, false, 0)"
    )
    run("INSERT INTO practice (account_id, name) VALUES (1, 'Main')")
    for number, name in enumerate(("there", "staged", "dropped", "told", "untold", "gone"), 1):
        run(
            'INSERT INTO "user" (account_id, practice_id, name, email, full_name, active, required,'
            " lost_factor, credential, attempts_left, recovery_saved, created_at, standing)"
            f" VALUES (1, 1, '{name}', '{name}@x.example', '', true, false,"
            f" false, 0, 7, true, 0, '{'deleted' if name == 'gone' else 'free'}')"
        )
        run(f"INSERT INTO user_word (user_id, word, account_id) VALUES ({number}, '{name}', 1)")
    batch = (
        "INSERT INTO import_batch (account_id, begun_at, published_at, dropped, actor, application, address)"
    )
    for published, dropped in (("null", "false"), ("null", "true"), ("1", "false")):
        run(f"{batch} VALUES (1, 1, {published}, {dropped}, 'boss', 'ssh', '192.0.2.1')")
    staged = "INSERT INTO staged_user (user_id, batch_id, row, required, fingerprint)"
    for user, number, fingerprint in ((2, 1, ""), (3, 2, ""), (5, 3, "SHA256:x"), (6, 3, "")):
        run(f"{staged} VALUES ({user}, {number}, {user}, true, '{fingerprint}')")
    run("INSERT INTO overtaken_row (batch_id, row, \"column\") VALUES (1, 9, 'name')")


async def test_imports_under_way(tmp_path, monkeypatch, server):
    """One that was not published is undone, a published one is finished."""
    older = older_than(APART, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_imports(older)
        assert migrate(older)[0] == APART
    store = Store(older, open_services(lambda: models.moment(10**15), Vault(bytes(KEY_BYTES))))
    await import_staging.clean_up_all(store)
    assert {row.name for row in models.User.select()} == {"there", "told", "untold"}
    assert {row.user_id for row in models.UserWord.select()} == {1, 4, 5, 6}
    rows = models.AuditEntry.select().order_by(models.AuditEntry.id)
    assert [(row.event, row.user, row.actor, row.detail) for row in rows] == [
        ("user.created", "untold", "boss", '{"roles": [], "required": true}'),
        ("key.added", "untold", "boss", '{"fingerprint": "SHA256:x"}'),
    ]
    assert models.StagedUser.select().count() == models.ImportBatch.select().count() == 0
    store.close()


def add_counted(made) -> None:
    """Put two accounts into the tables of before, with users of each standing, and a log of what they did."""
    run = made.execute_sql
    for name, mode in (("Clinic", "required"), ("Surgery", "optional")):
        run(
            "INSERT INTO account (name, mode, remember_days, app_on, sms_on, email_on, created_at)"
            f" VALUES ('{name}', '{mode}', 0, true, false, false, 0)"
        )
    run("INSERT INTO practice (account_id, name) VALUES (1, 'Main'), (1, 'North'), (2, 'Main')")
    people = [
        ("anna", 1, 1, "enrolled"),
        ("ben", 1, 2, "obliged"),
        ("cleo", 1, 2, "locked"),
        ("dora", 1, 2, "deactivated"),
        ("emil", 2, 3, "free"),
        ("~6", 2, 3, "deleted"),
    ]
    for number, (name, account, practice, standing) in enumerate(people, 1):
        run(
            'INSERT INTO "user" (account_id, practice_id, name, email, full_name, active, locked_at,'
            " required, lost_factor, credential, attempts_left, recovery_saved, created_at, standing)"
            f" VALUES ({account}, {practice}, '{name}', '{name}', '', true,"
            f" {30 if standing == 'locked' else 'null'}, false, false, 0, 7, true, {number}, '{standing}')"
        )
    run("INSERT INTO user_role (user_id, role) VALUES (1, 'support'), (2, 'support'), (2, 'system_admin')")
    run(
        "INSERT INTO factor (user_id, kind, sealed_secret, last_step, drift, confirmed_at, barred_steps)"
        " VALUES (1, 'app', '', 0, 0, 20, '')"
    )
    for selector, used in (("A", "null"), ("B", "null"), ("C", "40")):
        run(
            "INSERT INTO recovery_code (user_id, selector, secret_hash, used_at)"
            f" VALUES (1, '{selector}', '', {used})"
        )
    told = [
        (50, "two_factor.required", "ben", {}),
        (60, "policy.mode_changed", None, {"before": "off", "after": "optional"}),
        (70, "policy.mode_changed", None, {"before": "optional", "after": "required"}),
        (80, "policy.mode_changed", None, {"before": "required", "after": "permanent"}),
        (TODAY * DAY + 5, "signin.admitted", "anna", {}),
        (TODAY * DAY + 6, "signin.admitted", "anna", {}),
        (TODAY * DAY - 1, "signin.code_wrong", "anna", {}),
        ((TODAY - 500) * DAY, "signin.admitted", "anna", {}),
    ]
    for at, event, user, detail in told:
        subject = f"'{user}'" if user else "null"
        run(
            'INSERT INTO audit_entry (at, account_id, event, actor, "user", application, address, detail)'
            f" VALUES ({at}, 1, '{event}', '', {subject}, '', '',"
            f" '{json.dumps(detail)}')"
        )


def test_counts_of_what_was_there(tmp_path, monkeypatch, server):
    older = older_than(COUNTED, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_counted(older)
        assert migrate(older)[0] == COUNTED
        models.database.initialize(older)
        assert counted_users() == set(models.UserCount.select().tuples())
        since = {row.name: models.microseconds(row.standing_since) for row in models.User.select()}
        assert since == {"anna": 20, "ben": 50, "cleo": 30, "dora": 4, "emil": 5}
        assert [row.name for row in models.User.select().where(models.User.few_codes)] == ["anna"]
        accounts = {row.name: (row.on_since, row.required_since) for row in models.Account.select()}
        assert accounts == {"Clinic": (models.moment(60), models.moment(70)), "Surgery": (None, None)}
        assert set(models.EventCount.select().tuples()) == {
            (1, TODAY, "signin.admitted", "", 2),
            (1, TODAY - 1, "signin.code_wrong", "", 1),
        }


def test_codes_and_sessions_of_before_are_not_temporary(tmp_path, monkeypatch, server):
    older = older_than(EXPIRING, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_counted(older)
        older.execute_sql(
            "INSERT INTO session (user_id, application, address, first_factor, methods, credential,"
            " restricted, started_at, ended_because) VALUES (1, 'ssh', '', 'key', '', '', false, 1, '')"
        )
        assert migrate(older)[0] == EXPIRING
        models.database.initialize(older)
        assert {code.expires_at for code in models.RecoveryCode.select()} == {None}
        assert [session.temporary_code for session in models.Session.select()] == [False]


def test_accounts_of_before_tell_of_new_places_but_not_of_locks(tmp_path, monkeypatch, server):
    older = older_than(PLACES, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_counted(older)
        assert migrate(older)[0] == PLACES
        models.database.initialize(older)
        told = {(account.notify_new_places, account.notify_locks) for account in models.Account.select()}
        assert told == {(True, False)}
        assert {user.known_places for user in models.User.select()} == {None}


def test_users_of_before_do_not_prefer_the_plain_mode(tmp_path, monkeypatch, server):
    older = older_than(PLAIN, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_counted(older)
        assert migrate(older)[0] == PLAIN
        models.database.initialize(older)
        assert {user.plain for user in models.User.select()} == {False}


def test_applications_of_before_are_told_nothing(tmp_path, monkeypatch, server):
    older = older_than(ATTRIBUTES, tmp_path, monkeypatch, server)
    with older.connection_context():
        add_counted(older)
        older.execute_sql(
            "INSERT INTO application (account_id, name, protocol, asks, networks, all_practices, "
            "accept_without_2fa, may_send, lenient, enabled, created_at, rotated_at) "
            "SELECT min(id), 'vpn', 'radius', 'code', '10.0.0.5/32', true, false, false, false, true, 0, 0 "
            "FROM account"
        )
        assert migrate(older)[0] == ATTRIBUTES
        models.database.initialize(older)
        assert [each.attributes for each in models.Application.select()] == ["[]"]
