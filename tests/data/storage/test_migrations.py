"""What migrations fill in of what was there before them, on both databases."""

import shutil
import time
from pathlib import Path

from data.storage import database, models
from data.storage.database import create_database, migrate
from data.storage.postgresql import PostgresqlUrl

FIRST = "0015_one_time_passwords"


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
    """Rows from before the migrations get an end, an account and a standing."""
    folder, late = tmp_path / "migrations", tmp_path / "late"
    shutil.copytree(Path(database.__file__).parent / "migrations", folder)
    late.mkdir()
    for path in folder.glob("[0-9]*.py"):
        if path.stem >= FIRST:
            path.rename(late / path.name)
    monkeypatch.setattr(database, "_MIGRATIONS", folder)
    place = PostgresqlUrl.parse(server.url(server.new_database())) if server else tmp_path / "twofold.db"
    older = create_database(place)
    with older.connection_context():
        add_people(older)
        shutil.copytree(late, folder, dirs_exist_ok=True)
        before = time.time()
        assert migrate(older)[0] == FIRST
        models.database.initialize(older)
        ends = {row.name: row.one_time_until for row in models.User.select()}
        assert [(row.user_id, row.account_id) for row in models.SentCode.select()] == [(2, 2)]
        standing = {row.name: row.standing for row in models.User.select()}
    assert ends["ben"] is None
    assert standing == {"anna": "free", "ben": "obliged"}
    assert int(before) <= ends["anna"].timestamp() - 72 * 3600 <= time.time()
