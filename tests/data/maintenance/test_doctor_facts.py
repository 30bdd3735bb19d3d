"""A check-up says what is wrong with an installation, and finds nothing where all is well."""

from datetime import UTC, datetime, timedelta

import pytest
from peewee import IntegrityError
from support.database import BOTH, OPERATOR, SYSTEM, World

from data.operations.actors import Operator
from data.operations.maintenance import accounts, doctor_facts
from data.operations.results import Denied
from data.operations.users import lifecycle
from data.rules import doctor as rules
from data.rules.doctor import Level
from data.rules.domain_types import Method, Mode
from data.storage import models
from data.storage.database import schema_differences
from data.storage.postgresql import Postgresql
from data.storage.sqlite import Sqlite


def found(world: World, level: Level) -> str:
    """Return the sentences of one level, of everything that is looked at in the database."""
    findings = [
        *world.run(doctor_facts.check_accounts, OPERATOR),
        *world.run(doctor_facts.check_clock, OPERATOR),
    ]
    findings += [world.run(doctor_facts.check_database), world.run(doctor_facts.check_secrets)]
    if sending := world.run(doctor_facts.check_sending):
        findings.append(sending)
    return "\n".join(finding.sentence for finding in findings if finding.level is level)


@pytest.fixture(autouse=True)
def database_by_the_same_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a database with a clock of its own go by the one that stands still."""
    if world.database.clock() is not None:
        monkeypatch.setattr(world.database, "clock", lambda: world.clock.now)


@pytest.fixture
def well(world: World) -> World:
    """Two administrators with a second factor, and nobody else."""
    world.enrol("admin")
    world.person("second", SYSTEM)
    return world


def test_nothing_is_found_where_all_is_well(well):
    assert found(well, Level.PROBLEM) == found(well, Level.NOTE) == ""
    fine = found(well, Level.FINE)
    assert "2 system administrators can unlock each other." in fine
    assert "All 2 sealed secrets can be opened." in fine


def test_a_new_installation_has_notes_and_no_problem(world):
    assert found(world, Level.PROBLEM) == ""
    notes = found(world, Level.NOTE)
    assert "Administrators without a second factor: admin." in notes
    assert "no one can sign in with a second factor and unlock others" in notes
    assert "Must set up two-factor authentication at their next sign-in: admin." in notes


def test_locked_administrator_and_locked_user(well):
    """A locked administrator is a problem, a locked user a note."""
    well.enrol(well.user("anna"))
    well.clock.forward(minutes=1)
    well.lock("anna")
    assert found(well, Level.PROBLEM) == ""
    assert "Locked: anna." in found(well, Level.NOTE)
    well.lock("second")
    assert found(well, Level.PROBLEM) == "Administrators are locked: second."
    assert "only admin can sign in" in found(well, Level.NOTE)


def test_a_method_that_nothing_can_send_is_a_problem(well):
    well.methods(*Method)
    assert found(well, Level.PROBLEM) == ""
    object.__setattr__(well.services, "sends", frozenset({Method.EMAIL}))
    assert "Codes by text message are on" in found(well, Level.PROBLEM)


def test_mode_off_and_pending_users(well):
    """Both are notes."""
    well.mode(Mode.OFF)
    assert "The mode is off. A key or password alone signs in." in found(well, Level.NOTE)
    well.mode(Mode.REQUIRED)
    well.user("ben")
    assert "at their next sign-in: ben." in found(well, Level.NOTE)


def test_a_sealed_secret_of_another_user_is_a_problem(well):
    rows = list(models.Factor.select().order_by(models.Factor.id))
    models.Factor.update(sealed_secret=rows[0].sealed_secret).where(models.Factor.id == rows[1].id).execute()
    assert found(well, Level.PROBLEM) == "1 of 2 sealed secrets cannot be opened: those of second."


def test_a_clock_behind_what_is_on_record_is_a_problem(well):
    well.clock.forward(hours=5)
    well.user("ben")
    well.clock.forward(hours=-4)
    assert "but the newest record is from 2026-03-02 14:0" in found(well, Level.PROBLEM)


def test_a_schema_as_it_was_made_is_fine(well):
    before = well.dump()
    assert well.run(doctor_facts.check_schema).level is Level.FINE
    assert well.dump() == before


ON_SQLITE = {
    "trigger twofold_keeps_0 on audit_entry is missing": ["DROP TRIGGER twofold_keeps_0"],
    "trigger twofold_keeps_1 on audit_entry is changed": [
        "DROP TRIGGER twofold_keeps_1",
        "CREATE TRIGGER twofold_keeps_1 BEFORE DELETE ON audit_entry BEGIN SELECT 1; END",
    ],
    "trigger helpful on session is foreign": [
        "CREATE TRIGGER helpful AFTER INSERT ON session BEGIN INSERT INTO user_role VALUES (1, 'user'); END"
    ],
    "view everybody is foreign": ['CREATE VIEW everybody AS SELECT * FROM "user"'],
    "table worker is missing": [
        "ALTER TABLE worker RENAME TO other",
        "CREATE VIEW worker AS SELECT * FROM other",
    ],
    "view worker is foreign": [
        "ALTER TABLE worker RENAME TO other",
        "CREATE VIEW worker AS SELECT * FROM other",
    ],
    "table stock is foreign": ["CREATE TABLE stock (id INTEGER)"],
    "table account is changed": ["ALTER TABLE account ADD COLUMN note TEXT"],
    "index user_name on user is missing": ["DROP INDEX user_name"],
}
ON_POSTGRESQL = {
    "trigger twofold_keeps_0 on audit_entry is changed": [
        "ALTER TABLE audit_entry DISABLE TRIGGER twofold_keeps_0"
    ],
    "trigger twofold_keeps_1 on audit_entry is missing": ["DROP TRIGGER twofold_keeps_1 ON audit_entry"],
    "function twofold_keeps_1() is changed": [
        """
        CREATE OR REPLACE FUNCTION twofold_keeps_1() RETURNS trigger
        LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'
        """
    ],
    "trigger helpful on session is foreign": [
        "CREATE TRIGGER helpful AFTER INSERT ON session FOR EACH ROW EXECUTE FUNCTION twofold_keeps_0()"
    ],
    "rule quiet on user_role is foreign": ["CREATE RULE quiet AS ON DELETE TO user_role DO INSTEAD NOTHING"],
    "view everybody is foreign": ['CREATE VIEW everybody AS SELECT * FROM "user"'],
    "view worker is foreign": [
        "ALTER TABLE worker RENAME TO other",
        "CREATE VIEW worker AS SELECT * FROM other",
    ],
    "table stock is foreign": ["CREATE TABLE stock (id INTEGER)"],
    "table account is changed": ["ALTER TABLE account ADD COLUMN note TEXT"],
    "table practice is changed": ["ALTER TABLE practice ENABLE ROW LEVEL SECURITY"],
    "index user_name on user is missing": ["DROP INDEX user_name"],
}


def test_changed_schema(well):
    """It is named and is a problem."""
    changes = ON_POSTGRESQL if isinstance(models.database.obj, Postgresql) else ON_SQLITE
    for said, statements in changes.items():
        with models.database.atomic() as undone:
            for statement in statements:
                models.database.execute_sql(statement)
            assert said in schema_differences(models.database.obj)
            undone.rollback()
    assert schema_differences(models.database.obj) == ()


def test_a_changed_schema_is_a_problem(well):
    well.spoilt = True
    models.database.execute_sql('CREATE VIEW everybody AS SELECT * FROM "user"')
    found = well.run(doctor_facts.check_schema)
    assert found.level is Level.PROBLEM
    assert "view everybody is foreign" in found.sentence


def test_role_without_schema_rights(well):
    """The operator is told to ask for the schema."""
    if isinstance(models.database.obj, Postgresql):
        with models.database.atomic() as undone:
            models.database.execute_sql("CREATE ROLE modest")
            models.database.execute_sql("SET LOCAL ROLE modest")
            assert schema_differences(models.database.obj) is None
            undone.rollback()
    found = rules.judge_schema(None)
    assert found.level is Level.NOTE
    assert "Grant CREATE on the database" in found.advice


def test_a_rotation_that_is_not_ended_is_a_note(well):
    assert well.run(doctor_facts.check_rotation) is None
    models.Installation.update(former_key_check="before").execute()
    assert well.run(doctor_facts.check_rotation).level is Level.NOTE


def test_users_refused_until_later(well):
    """Users who are refused until a future time are a problem."""
    well.clock.forward(days=1)
    well.session("second")
    well.clock.forward(days=-1)
    assert "Codes from 1 user are refused because of a clock jump." in found(well, Level.PROBLEM)


def test_clock_of_the_database(well):
    """It is compared with the clock of the host."""
    now = well.clock.now
    for seconds, level in ((9, Level.FINE), (40, Level.PROBLEM), (-40, Level.PROBLEM)):
        judged = rules.judge_clock(now, newest=None, stuck=0, database_now=now + timedelta(seconds=seconds))
        assert [finding.level for finding in judged] == [level]


def test_a_database_with_a_clock_tells_the_real_time(world, monkeypatch):
    monkeypatch.undo()
    told = world.database.clock()
    assert told is None or abs(told - datetime.now(UTC)) < timedelta(seconds=10)


def test_a_row_that_belongs_to_nothing_is_a_problem(well):
    away = models.User.update(practice=4711).where(models.User.name == "second")
    if isinstance(well.database, Sqlite):
        well.database.execute_sql("PRAGMA foreign_keys = 0")
        away.execute()
        assert "a row of user refers to a missing row" in found(well, Level.PROBLEM)
    else:
        with pytest.raises(IntegrityError):
            away.execute()


def test_unsent_codes_are_counted_for_a_day(well):
    well.methods(Method.EMAIL)
    anna = models.User.get(models.User.name == "second")
    models.AuditEntry.insert(
        at=well.clock.now,
        account=anna.account_id,
        event="code.not_sent",
        actor="second",
        application="ssh",
        address="x",
        detail="{}",
    ).execute()
    assert "1 code could not be sent in the last day." in found(well, Level.NOTE)
    well.clock.forward(days=2)
    assert "could not be sent" not in found(well, Level.NOTE)


def test_every_account_or_the_named_one(well):
    chief = lifecycle.NewUser("chief", "chief@other.example", roles=BOTH)
    well.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    topics = {finding.topic for finding in well.run(doctor_facts.check_accounts, OPERATOR)}
    assert topics == {"account Clinic", "account Other"}
    named = well.run(doctor_facts.check_accounts, Operator("root", "Other"))
    assert {finding.topic for finding in named} == {"account Other"}
    assert isinstance(well.run(doctor_facts.check_accounts, Operator("root", "Nowhere")), Denied)


@pytest.mark.parametrize(
    ("free", "level"),
    [(5 * 2**30, Level.FINE), (2**29, Level.NOTE), (2**20, Level.PROBLEM), (0, Level.PROBLEM)],
)
def test_a_disk_that_is_nearly_full_is_told_in_time(free, level):
    assert rules.judge_disk(free, 100 * 2**30, "/home").level is level
