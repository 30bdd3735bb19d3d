"""Backups: all there is at one moment, and nothing that was spent since is good again after restoring."""

import asyncio
import os
import socket
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import asyncssh
import pytest
from support.broken_database import files_of_at_most
from support.database import MASTER_KEY, OPERATOR, SYSTEM, World, services

from data.operations.audit import verification
from data.operations.certificates import authorities, issuing, listing
from data.operations.certificates.revocation_list import read_revocation_list
from data.operations.certificates.withdrawal import withdraw
from data.operations.maintenance import backups, doctor_facts, kept_counts
from data.operations.maintenance.installation_state import installation_state
from data.operations.results import Denied, Done
from data.operations.signin import second_factor
from data.operations.signin.admission import Admitted
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.users import deletion, import_staging, user_import
from data.operations.users.temporary_codes import make_temporary_code
from data.rules import users_csv
from data.rules.doctor import Level
from data.rules.domain_types import Method, Mode
from data.storage import database_move, models
from data.storage.backup import BackupRefusedError, back_up, copy_checked, remove, take_mark_away
from data.storage.database import (
    Database,
    SchemaState,
    migrate,
    open_database,
    schema_differences,
    schema_state,
)
from data.storage.files import UnfitFileError
from data.storage.restored_rows import rebuild
from data.storage.sqlite import bears_our_mark, create_file
from data.storage.vault import Vault
from data.store import Store

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "monday.backup"


@pytest.fixture
def lived_in(world: World) -> World:
    """An installation with enrolled users, the last code of whom is half an hour old."""
    world.methods(Method.APP, Method.EMAIL)
    world.person("boss", SYSTEM)
    world.enrol(world.user("anna"))
    world.enrol_email(world.user("ben"))
    world.clock.forward(minutes=30)
    return world


def take(world: World, file: Path) -> int:
    return back_up(world.database, file, world.services.vault, now=world.clock.now, told=lambda _more: None)


class Restored:
    """What a backup becomes: its database, in the place of the world's for as long as it is looked at."""

    def __init__(self, world: World, file: Path, *, unverified: bool = False) -> None:
        self.world, self.path = world, file.with_name("restored.db")
        copied = file.with_name("copied.db")
        copy_checked(file, copied, world.services.vault, unverified=unverified)
        rebuild(copied, self.path)
        remove(copied)
        self.database: Database = open_database(self.path)

    def __enter__(self) -> World:
        self._before = self.world.store
        self.world.store = Store(self.database, services(self.world.clock))
        return self.world

    def __exit__(self, *_: object) -> None:
        self.world.store.close()
        models.database.initialize(self.world.database)
        self.world.store = self._before
        remove(self.path)


def settle(world: World, carried: backups.Carried) -> object:
    return world.run(backups.settle, OPERATOR, carried, taken_at=world.clock.now)


def test_backup_is_one_private_file(lived_in, file):
    """It is marked as a backup and holds every row."""
    before = lived_in.dump()
    told: list[int] = []
    rows = back_up(lived_in.database, file, lived_in.services.vault, now=lived_in.clock.now, told=told.append)
    assert rows == sum(told) == sum(len(table) for table in before.values())
    assert [path.name for path in file.parent.iterdir() if path.name.startswith("monday")] == [file.name]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert bears_our_mark(file)
    with Restored(lived_in, file) as restored:
        after = restored.dump()
        assert restored.run(installation_state).backup_at == lived_in.clock.now
    before.pop("installation")
    after.pop("installation")
    assert after == before


def test_backup_never_overwrites(lived_in, file):
    """One that breaks off leaves no file of its name."""
    file.write_text("precious")
    with pytest.raises(FileExistsError):
        take(lived_in, file)
    assert file.read_text() == "precious"
    file.unlink()

    def stop(_more: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(lived_in.database, file, lived_in.services.vault, now=lived_in.clock.now, told=stop)
    assert not file.exists()
    take(lived_in, file)
    assert bears_our_mark(file)


@pytest.mark.parametrize("size", [0, 50, 100_000])
def test_backup_without_room(lived_in, file, size):
    """The error names the backup's own file, and no file is left."""
    with files_of_at_most(size), pytest.raises(OSError, match="monday") as failed:
        take(lived_in, file)
    assert failed.value.strerror
    assert not list(file.parent.glob("monday*"))
    assert take(lived_in, file)


def test_backup_shows_one_moment(lived_in, file, monkeypatch):
    """Others write on while it is taken."""
    monkeypatch.setattr(database_move, "_BATCH", 10)
    names = iter(f"late{number}" for number in range(1_000))
    before = lived_in.dump()

    def write(_more: int) -> None:
        """Write as another thread does, with a connection of its own."""
        writing = Thread(target=lambda: (lived_in.user(next(names)), lived_in.database.close()))
        writing.start()
        writing.join()

    back_up(lived_in.database, file, lived_in.services.vault, now=lived_in.clock.now, told=write)
    assert models.User.select().where(models.User.name.startswith("late")).count() > 5
    with Restored(lived_in, file) as restored:
        assert restored.dump()["user"] == before["user"]
        assert restored.dump()["audit_entry"] == before["audit_entry"]


def test_restore_spends_past_steps(lived_in, file):
    """No step up to the present is good after a restore."""
    take(lived_in, file)
    code = lived_in.code("anna")
    assert isinstance(lived_in.submit(lived_in.attempt("anna"), code), Admitted)
    with Restored(lived_in, file) as restored:
        assert isinstance(settle(restored, backups.Carried()), backups.Restored)
        for steps in (-1, 0, 1):
            answer = restored.submit(restored.attempt("anna"), restored.code("anna", steps))
            assert isinstance(answer, CodeAlreadyUsed)
        restored.clock.forward(minutes=1)
        assert isinstance(restored.submit(restored.attempt("anna"), restored.code("anna")), Admitted)


def test_restore_voids_codes_and_sessions(lived_in, file):
    """Sent codes, remembered addresses and sessions are void after a restore."""
    models.Account.update(remember_days=7).execute()
    lived_in.session("anna")
    lived_in.clock.forward(minutes=1)
    attempt = lived_in.attempt("ben")
    code = lived_in.sent(attempt)
    take(lived_in, file)
    assert models.RememberedAddress.select().count()
    with Restored(lived_in, file) as restored:
        settle(restored, backups.Carried())
        assert restored.events()[-1] == "installation.restored"
        assert not models.RememberedAddress.select().count()
        assert not models.Session.select().where(models.Session.ended_at.is_null()).count()
        assert not isinstance(
            restored.run(second_factor.submit_code, restored.attempt("ben"), code), Admitted
        )


def test_restore_withdraws_certificates(lived_in, file):
    """Those in the backup, and those that the replaced database knows, so that hosts refuse them all.

    Their users may not be in the backup, or have been deleted since.
    """
    models.Account.update(certificate_hours=8).execute()
    lived_in.run(authorities.init_authority, OPERATOR)
    anna, former = lived_in.session("anna"), lived_in.enrol(lived_in.user("former"))
    before = lived_in.run(issuing.issue_certificate, anna, KEY)
    take(lived_in, file)
    since = lived_in.run(issuing.issue_certificate, anna, KEY)
    new = lived_in.run(issuing.issue_certificate, lived_in.enrol(lived_in.user("new")), KEY)
    assert lived_in.run(withdraw, lived_in.row("anna").id, "lost", models.Certificate.serial == since.serial)
    gone = lived_in.run(issuing.issue_certificate, former, KEY)
    assert isinstance(lived_in.run(deletion.delete_user, OPERATOR, "former"), Done)
    carried = lived_in.run(backups.carry)
    assert len(carried.certificates) == 4
    with Restored(lived_in, file) as restored:
        settle(restored, carried)
        krl = restored.run(read_revocation_list, "Clinic")
        assert all(each.serial.to_bytes(8) in krl for each in (before, since, new, gone))
        assert {row.name for row in models.User.select()} == {"admin", "boss", "anna", "ben", "former"}
        page = restored.run(listing.list_certificates, OPERATOR, ended=True)
        assert {row.serial for row in page.rows} == {before.serial, since.serial}
        assert restored.run(kept_counts.check_counts).level is Level.FINE
        restored.clock.forward(minutes=1)
        again = restored.run(issuing.issue_certificate, restored.session("anna"), KEY)
        assert again.serial.to_bytes(8) not in restored.run(read_revocation_list, "Clinic")


@pytest.mark.feature("certificates-rotate")
def test_restore_undoes_no_rotation(lived_in, file):
    """The authority that signed at last signs, if the replaced database knows it; doctor says if not."""
    models.Account.update(certificate_hours=8).execute()
    first = lived_in.run(authorities.init_authority, OPERATOR).present.fingerprint
    take(lived_in, file)
    lived_in.clock.forward(minutes=1)
    second = lived_in.run(authorities.rotate_authority, OPERATOR, first).present.fingerprint
    by_second = lived_in.run(issuing.issue_certificate, lived_in.session("anna"), KEY)
    lived_in.clock.forward(minutes=1)
    third = lived_in.run(authorities.rotate_authority, OPERATOR, second).present.fingerprint
    carried = lived_in.run(backups.carry)
    assert "private=" not in repr(carried)

    def noted() -> list[str]:
        found = lived_in.run(doctor_facts.check_accounts, OPERATOR)
        return [each.advice for each in found if "is that of the backup restored" in each.sentence]

    with Restored(lived_in, file) as restored:
        assert settle(restored, carried) == backups.Restored(True, True, ("Clinic",))
        assert restored.run(authorities.show_authorities, OPERATOR).present.fingerprint == third
        assert by_second.serial.to_bytes(8) in restored.run(read_revocation_list, "Clinic")
        restored.clock.forward(minutes=1)
        again = restored.run(issuing.issue_certificate, restored.session("anna"), KEY)
        signed_by = asyncssh.import_certificate(again.line).signing_key.get_fingerprint()
        assert (signed_by, noted()) == (third, [])
        newer = restored.run(backups.carry)
        take(restored, file.with_name("newer.backup"))
    with Restored(lived_in, file) as restored:
        assert settle(restored, backups.Carried()) == backups.Restored(True, False, ())
        assert restored.run(authorities.show_authorities, OPERATOR).present.fingerprint == first
        assert [advice[-17:] for advice in noted()] == ["twofold ca rotate"]
        older = restored.run(backups.carry)
        restored.clock.forward(minutes=1)
        restored.run(authorities.rotate_authority, OPERATOR, first)
        assert noted() == []
    for replaced, knows in ((older, False), (newer, True)):
        with Restored(lived_in, file.with_name("newer.backup")) as restored:
            assert settle(restored, replaced) == backups.Restored(True, knows, ())
            assert bool(noted()) != knows
            assert restored.run(authorities.show_authorities, OPERATOR).present.fingerprint == third
    broken = replace(carried, authorities=tuple(replace(each, private=None) for each in carried.authorities))
    with Restored(lived_in, file) as restored:
        assert settle(restored, broken) == backups.Restored(True, True, ())
        assert isinstance(restored.run(authorities.show_authorities, OPERATOR), Denied)
        without = restored.run(backups.carry)
    with Restored(lived_in, file) as restored:
        assert settle(restored, without) == backups.Restored(True, True, ())
        assert isinstance(restored.run(authorities.show_authorities, OPERATOR), Denied)
    models.Account.update(name="Praxis").execute()
    renamed = lived_in.run(backups.carry)
    with Restored(lived_in, file) as restored:
        assert settle(restored, renamed) == backups.Restored(True, False, ())


def test_restore_drops_unfinished_imports(lived_in, file):
    """A published import is kept."""
    people = users_csv.read_people(b"name,email\ncarl,c@x.example\ndora,d@x.example\n").rows
    published, _ = (
        lived_in.run(user_import.stage_people, OPERATOR, None, user_import.newcomers([row])) for row in people
    )
    lived_in.run(user_import.publish_people, OPERATOR, published.batch)
    take(lived_in, file)
    with Restored(lived_in, file) as restored:
        assert isinstance(settle(restored, backups.Carried()), backups.Restored)
        assert [row.name for row in models.StagedUser.select()] == ["carl"]
        restored.run(import_staging.clean_up)
        assert {row.name for row in models.User.select()} == {"admin", "boss", "anna", "ben", "carl"}
        assert models.ImportBatch.select().count() == 0


def test_restore_keeps_what_is_spent(lived_in, file):
    """What the replaced database knows to be used stays used."""
    take(lived_in, file)
    for recovery in lived_in.recovery["anna"][:3]:
        assert isinstance(lived_in.submit(lived_in.attempt("anna"), recovery), Admitted)
    lived_in.lock("boss")
    carried = lived_in.run(backups.carry)
    assert recovery not in repr(carried)
    with Restored(lived_in, file) as restored:
        settle(restored, carried)
        assert (restored.row("boss").standing, restored.row("anna").few_codes) == ("locked", True)
        assert restored.lags() == []
        answer = restored.submit(restored.attempt("anna"), recovery)
        assert isinstance(answer, CodeAlreadyUsed)
        assert restored.row("boss").locked_at is not None
        assert restored.row("boss").attempts_left == 0


@pytest.mark.feature("temporary-code-void")
def test_restore_voids_temporary_codes(lived_in, file):
    """The backup does not know which of them were voided since."""
    made = lived_in.run(make_temporary_code, OPERATOR, "anna")
    take(lived_in, file)
    with Restored(lived_in, file) as restored:
        settle(restored, lived_in.run(backups.carry))
        assert restored.submit(restored.attempt("anna"), made.code) == CodeWrong(6)


def test_restore_of_another_installation(lived_in, file):
    """Nothing that the other installation knew is carried over."""
    take(lived_in, file)
    lived_in.lock("boss")
    models.Installation.update(created_at=lived_in.clock.now).execute()
    carried = lived_in.run(backups.carry)
    with Restored(lived_in, file) as restored:
        settle(restored, carried)
        assert restored.row("boss").locked_at is None


def test_restore_after_a_clock_ahead(lived_in, file):
    """Steps that were spent ahead of time stay spent."""
    take(lived_in, file)
    lived_in.clock.forward(days=1)
    code, ahead = lived_in.code("anna"), lived_in.clock.now
    assert isinstance(lived_in.submit(lived_in.attempt("anna"), code), Admitted)
    lived_in.clock.forward(days=-1)
    carried = lived_in.run(backups.carry)
    with Restored(lived_in, file) as restored:
        settle(restored, carried)
        restored.clock.now = ahead
        assert isinstance(restored.submit(restored.attempt("anna"), code), CodeAlreadyUsed)


def test_permanent_is_not_replaced(lived_in, file, tmp_path):
    """A permanent account is not replaced by one that is not."""
    take(lived_in, file)
    lived_in.mode(Mode.PERMANENT)
    later = tmp_path / "tuesday.backup"
    take(lived_in, later)
    carried = lived_in.run(backups.carry)
    with Restored(lived_in, file) as restored:
        before = restored.dump()
        denied = settle(restored, carried)
        assert isinstance(denied, Denied)
        assert "permanent for Clinic" in denied.message
        assert restored.dump() == before
    with Restored(lived_in, later) as restored:
        assert isinstance(settle(restored, carried), backups.Restored)


def test_the_audit_log_of_a_restored_backup_verifies(lived_in, file):
    lived_in.run(backups.record_backup, OPERATOR)
    take(lived_in, file)
    with Restored(lived_in, file) as restored:
        settle(restored, backups.Carried())
        plan = restored.run(verification.plan_verification, OPERATOR, ())
        found = asyncio.run(verification.verify(restored.store, OPERATOR, plan, lambda _more: None))
        assert found.rows == len(restored.events())
        assert not found.faults


def test_restored_backup_without_mark(lived_in, file):
    """Without its mark a restored backup is an ordinary database."""
    take(lived_in, file)
    with Restored(lived_in, file) as restored:
        take_mark_away(file.with_name("restored.db"))
        assert restored.run(installation_state).backup_at is None
        assert isinstance(restored.submit(restored.attempt("anna"), restored.code("anna")), Admitted)


def tampered(file: Path, *statements: str) -> None:
    """Change what is in a backup as SQLite does, and put its keyed hash behind its end again."""
    before = file.read_bytes()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    content = file.read_bytes()
    size = int.from_bytes(content[16:18]) * int.from_bytes(content[28:32])
    assert content[:size] != before[:-SEAL_BYTES]
    file.write_bytes(content[:size] + before[-SEAL_BYTES:])


def without_hash(file: Path) -> None:
    """Make a backup like those that older versions made."""
    file.write_bytes(file.read_bytes()[:-SEAL_BYTES])


SEAL_BYTES = 80
_GRANT = "AFTER INSERT ON session BEGIN INSERT INTO user_role VALUES (NEW.user_id, 'system_admin'); END"
TAMPERING = {
    "password": ["UPDATE user SET password_hash = 'x' WHERE name = 'boss'"],
    "role": ["INSERT INTO user_role VALUES (1, 'support')"],
    "mode": ["UPDATE account SET mode = 'off'"],
    "trigger": [f"CREATE TRIGGER helpful {_GRANT}"],
    "trigger of our name": [
        "DROP TRIGGER twofold_keeps_0",
        f"CREATE TRIGGER twofold_keeps_0 {_GRANT}",
    ],
    "added row": ["INSERT INTO practice (account_id, name) VALUES (1, 'Annex')"],
    "removed row": ["DELETE FROM factor WHERE id = 1"],
    "swapped rows": ["UPDATE recovery_code SET user_id = 7 - user_id WHERE user_id IN (3, 4)"],
    "audit row": ["DROP TRIGGER twofold_keeps_0", "UPDATE audit_entry SET actor = 'ben' WHERE id = 2"],
    "index": ["CREATE INDEX more ON user (full_name)"],
}
FOREIGN_OBJECTS = {
    **{name: TAMPERING[name] for name in ("trigger", "trigger of our name", "index")},
    "view": ["CREATE VIEW everybody AS SELECT * FROM user"],
    "table": [
        "CREATE TABLE stock (id INTEGER)",
        "CREATE TRIGGER more AFTER INSERT ON stock BEGIN SELECT 1; END",
    ],
    "missing trigger": ["DROP TRIGGER twofold_keeps_1"],
    "index that leaves rows out": ["CREATE INDEX part ON user (name) WHERE name = 'anna'"],
}
IN_A_TABLES_PLACE = {
    "view": [
        "ALTER TABLE user_role RENAME TO other",
        "CREATE VIEW user_role AS SELECT id AS user_id, 'system_admin' AS role FROM user",
    ],
    "computed column": [
        "DROP TABLE user_role",
        "CREATE TABLE user_role (user_id INTEGER, role TEXT AS ('system_admin'))",
    ],
    "other columns": ["ALTER TABLE user_role ADD COLUMN note TEXT"],
    "nothing": ["DROP TABLE user_role"],
    "history": [
        "ALTER TABLE schema_migration RENAME TO h",
        "CREATE VIEW schema_migration AS SELECT * FROM h",
    ],
    "strange history": ["DELETE FROM schema_migration WHERE name LIKE '0003%'"],
    "text for a moment": ["UPDATE user SET created_at = 'yesterday' WHERE id = 1"],
    "bytes for a name": ["UPDATE user SET full_name = x'ff' WHERE id = 1"],
    "text for bytes": ["UPDATE factor SET sealed_secret = 'open'"],
    "stray rows": ["INSERT INTO user_role VALUES (99, 'support')"],
}


@pytest.mark.parametrize("statements", TAMPERING.values(), ids=TAMPERING)
def test_changed_backup(lived_in, file, statements):
    """A backup that was changed in anything is refused, and nothing is written."""
    take(lived_in, file)
    tampered(file, *statements)
    for unverified in (False, True):
        with pytest.raises(BackupRefusedError, match="keyed hash does not match"):
            Restored(lived_in, file, unverified=unverified)
    assert not list(file.parent.glob("copied*"))


def test_one_changed_bit(lived_in, file):
    """A backup with one bit changed anywhere is refused."""
    take(lived_in, file)
    content = file.read_bytes()
    for at in {100, len(content) // 2, len(content) - SEAL_BYTES - 1, len(content) - 60, len(content) - 1}:
        changed = bytearray(content)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(BackupRefusedError):
            Restored(lived_in, file)


@pytest.mark.parametrize("statements", FOREIGN_OBJECTS.values(), ids=FOREIGN_OBJECTS)
def test_foreign_schema(lived_in, file, statements):
    """Nothing of it comes back with the rows."""
    take(lived_in, file)
    before = lived_in.dump()
    tampered(file, *statements)
    without_hash(file)
    with pytest.raises(BackupRefusedError, match="has no keyed hash"):
        Restored(lived_in, file)
    with Restored(lived_in, file, unverified=True) as restored:
        assert schema_differences(models.database.obj) == ()
        after = restored.dump()
    before.pop("installation")
    after.pop("installation")
    assert after == before


@pytest.mark.parametrize("statements", IN_A_TABLES_PLACE.values(), ids=IN_A_TABLES_PLACE)
def test_what_has_only_the_name_of_a_table_is_refused(lived_in, file, statements):
    take(lived_in, file)
    tampered(file, *statements)
    without_hash(file)
    with pytest.raises(BackupRefusedError, match=r"is not a backup of Twofold|is damaged"):
        Restored(lived_in, file, unverified=True)


def test_incomplete_backup(lived_in, file, tmp_path):
    """It is refused before anything is written."""
    take(lived_in, file)
    content = file.read_bytes()
    other = tmp_path / "other"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE user (name)")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    cases: list[Path] = [other, fifo, tmp_path, tmp_path / "socket", Path("/dev/zero"), Path("/dev/null")]
    for number, part in enumerate(
        (
            b"",
            content[:50],
            content[:100],
            content[:5_000],
            content[:-1],
            content + b"x",
            content[:-SEAL_BYTES] + b"y",
        )
    ):
        cases.append(tmp_path / f"part{number}")
        cases[-1].write_bytes(part)
    target = tmp_path / "target"
    for case in cases:
        with pytest.raises((BackupRefusedError, UnfitFileError)):
            copy_checked(case, target, lived_in.services.vault, unverified=True)
        assert not target.exists(), case
    listening.close()


def test_backup_before_rotation_names_its_key(lived_in, file, tmp_path):
    take(lived_in, file)
    old, new = lived_in.services.vault.check_value, bytes(reversed(range(32)))
    assert copy_checked(file, tmp_path / "copied", Vault(MASTER_KEY, new))
    with pytest.raises(BackupRefusedError) as refused:
        copy_checked(file, tmp_path / "copied", Vault(new))
    assert f"the master key with the check value {old}" in str(refused.value)
    assert Vault(new).check_value in str(refused.value)


def test_backup_of_an_older_version(tmp_path):
    """It comes into the schema of its version."""
    older, target = tmp_path / "older", tmp_path / "target"
    create_file(older)
    database = open_database(older)
    with database.connection_context():
        migrate(database, "0010_backups")
    with closing(sqlite3.connect(older)) as connection:
        connection.execute(
            "INSERT INTO account (name, mode, remember_days, app_on, sms_on, email_on, created_at) "
            "VALUES ('Old', 'off', 0, 1, 0, 0, 0)"
        )
        connection.commit()
    rebuild(older, target)
    rebuilt = open_database(target)
    with rebuilt.connection_context():
        assert schema_state(rebuilt) is SchemaState.OLDER
        migrate(rebuilt)
        assert schema_differences(rebuilt) == ()
        assert rebuilt.execute_sql("SELECT name, mode FROM account").fetchall() == [("Old", "off")]


def test_a_backup_of_a_newer_version_is_refused(lived_in, file):
    take(lived_in, file)
    tampered(file, "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01')")
    without_hash(file)
    with pytest.raises(BackupRefusedError, match="newer version"):
        Restored(lived_in, file, unverified=True)
