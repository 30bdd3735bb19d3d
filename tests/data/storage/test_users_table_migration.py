"""The users table's migration fills what it adds, for whoever is there already, on both databases."""

import shutil
from itertools import product
from pathlib import Path

from support.database import lags

from data.rules.user_status import Standing
from data.storage import database, models
from data.storage.database import create_database, migrate
from data.storage.postgresql import PostgresqlUrl

MIGRATION = "0008_users_table"


def add_people(made) -> None:
    """Put an account into the tables of before, with a user of every kind."""
    made.execute_sql(
        "INSERT INTO account (name, mode, remember_days, app_on, sms_on, email_on, created_at)"
        " VALUES ('Clinic', 'optional', 0, true, false, false, 0)"
    )
    made.execute_sql("INSERT INTO practice (account_id, name) VALUES (1, 'North Wing')")
    flags = ("true", "false")
    kinds = product(flags, ("0", "null"), flags, flags, ("app", "sms", ""), (True, False))
    for number, (active, locked, required, lost, method, admin) in enumerate(kinds, 1):
        made.execute_sql(
            'INSERT INTO "user" (account_id, practice_id, name, email, full_name, phone, active,'
            " locked_at, required, lost_factor, one_time_password, credential, attempts_left,"
            " recovery_saved, created_at, last_signin_at)"
            f" VALUES (1, 1, 'u{number}', 'u{number}@clinic.example', 'Özlem Lee', '+49301234567',"
            f" {active}, {locked}, {required}, {lost}, false, 0, 7, true, 0, {number if admin else 'null'})"
        )
        if method:
            made.execute_sql(
                "INSERT INTO factor (user_id, kind, sealed_secret, last_step, drift, confirmed_at)"
                f" VALUES ({number}, '{method}', '', 0, 0, 0)"
            )
        if admin:
            made.execute_sql(f"INSERT INTO user_role (user_id, role) VALUES ({number}, 'security_admin')")


def test_users_table_gets_its_indexes(tmp_path, monkeypatch, server):
    folder = tmp_path / "migrations"
    shutil.copytree(Path(database.__file__).parent / "migrations", folder)
    late = tmp_path / "late"
    late.mkdir()
    for path in folder.glob("[0-9]*.py"):
        if path.stem >= MIGRATION:
            path.rename(late / path.name)
    monkeypatch.setattr(database, "_MIGRATIONS", folder)
    place = PostgresqlUrl.parse(server.url(server.new_database())) if server else tmp_path / "twofold.db"
    older = create_database(place)
    with older.connection_context():
        add_people(older)
        shutil.copytree(late, folder, dirs_exist_ok=True)
        assert migrate(older)[0] == MIGRATION
        models.database.initialize(older)
        assert lags() == []
        assert {row.standing for row in models.User.select()} == set(Standing)
