"""Moving an installation: all of it arrives or nothing, and the old database is closed for good."""

from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest
from support.broken_database import files_of_at_most
from support.database import OPERATOR, SYSTEM, World, services

from data.operations.certificates import authorities, issuing
from data.operations.certificates.issuing import IssuedCertificate
from data.operations.maintenance.installation_state import installation_state
from data.operations.signin.admission import Admitted
from data.operations.users import factor_administration
from data.rules.domain_types import Method
from data.storage import database_move, models
from data.storage.database import Place, open_database
from data.storage.database_move import copy_database
from data.storage.postgresql import NotEmptyError, PostgresqlUrl
from data.store import Store

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"


@pytest.fixture
def target(tmp_path, server, postgresql) -> Place:
    """An empty place of the other kind."""
    if server is not None:
        return tmp_path / "moved.db"
    return PostgresqlUrl.parse(postgresql.url(postgresql.new_database()))


@pytest.fixture
def busy(world, monkeypatch) -> World:
    """A world with something in many tables, which is of no use to another test afterwards."""
    monkeypatch.setattr(database_move, "_BATCH", 2)
    world.spoilt = True
    world.methods(Method.APP, Method.EMAIL)
    world.person("boss", SYSTEM)
    world.enrol(world.user("anna"))
    world.enrol_email(world.user("bert"))
    models.User.update(full_name="Änne \\ % x").where(models.User.name == "anna").execute()
    world.catch_up()
    models.Account.update(certificate_hours=8).execute()
    world.run(authorities.init_authority, OPERATOR)
    assert isinstance(world.run(issuing.issue_certificate, world.session("anna"), KEY), IssuedCertificate)
    world.lock("anna")
    world.first("nobody-knows-me")
    world.clock.forward(hours=1)
    return world


def move(world: World, target: Place, told=lambda _more: None) -> int:
    return copy_database(world.database, target, moved_to="elsewhere", now=world.clock.now, told=told)


def dump(place: Place) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table, of either kind of database alike."""
    database = open_database(place)
    with database.connection_context(), database.bind_ctx(models.TABLES):
        return {table._meta.table_name: sorted(table.select().tuples(), key=repr) for table in models.TABLES}


def test_everything_arrives_and_goes_on_working(busy, target, monkeypatch):
    before = dump(busy.place)
    told: list[int] = []
    rows = move(busy, target, told.append)
    assert dump(target) == before
    assert rows == sum(told) == sum(len(table) for table in before.values())
    moved = Store(open_database(target), services(busy.clock))
    monkeypatch.setattr(busy, "store", moved)
    try:
        assert moved.run_now(installation_state).moved_to is None
        busy.run(factor_administration.unlock, OPERATOR, "anna", reason="asked")
        busy.user("carl")
        assert isinstance(busy.submit(busy.attempt("anna"), busy.live_code("anna")), Admitted)
        again = busy.run(issuing.issue_certificate, busy.session("anna"), KEY)
        trusted = busy.run(authorities.show_authorities, OPERATOR).present
        assert asyncssh.import_certificate(again.line).signing_key.get_fingerprint() == trusted.fingerprint
    finally:
        monkeypatch.undo()
        moved.close()


def test_old_database_takes_no_more_writes(busy, target):
    """It says where the data went."""
    attempt = busy.attempt("bert")
    move(busy, target)
    assert busy.run(installation_state).moved_to == "elsewhere"
    assert busy.run(installation_state).moved_at == busy.clock.now
    before = busy.dump()
    for write in (
        lambda: busy.run(factor_administration.set_required, OPERATOR, "bert", required=True),
        lambda: busy.submit(attempt, "000000"),
        lambda: models.Session.delete().execute(),
        lambda: models.Installation.update(moved_to=None).execute(),
    ):
        with pytest.raises(Exception, match=r"moved|not available"):
            write()
    assert busy.dump() == before


def test_copy_that_breaks_off(busy, target):
    """It leaves nothing at its target and everything at its source."""
    before = busy.dump()

    def break_off(_more: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(busy, target, break_off)
    assert busy.dump() == before
    busy.user("dora")
    if isinstance(target, Path):
        assert not list(target.parent.glob("moved.db*"))
    else:
        opened = open_database(target)
        with opened.connection_context():
            assert opened.get_tables() == []
    assert move(busy, target)


@pytest.mark.parametrize("size", [0, 50, 100_000])
def test_copy_without_room(busy, tmp_path, size):
    """It leaves no file, and its source is whole."""
    target = tmp_path / "moved.db"
    before = busy.dump()
    with files_of_at_most(size), pytest.raises(OSError, match="moved"):
        move(busy, target)
    assert busy.dump() == before
    assert not list(tmp_path.glob("moved.db*"))
    busy.user("dora")


def test_a_copy_that_lacks_a_row_is_refused(busy, target, monkeypatch):
    insert = database_move._insert
    monkeypatch.setattr(
        database_move, "_insert", lambda to, table, rows: insert(to, table, rows[1:]) if rows[1:] else None
    )
    with pytest.raises(database_move.CopyFailedError, match="Not every row"):
        move(busy, target)
    assert busy.run(installation_state).moved_to is None


def test_copy_with_an_open_source_can_be_finished(busy, target, monkeypatch):
    """The process ends after the copy was stored and the old database marked, before the end."""
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(database_move, "finish", _interrupt)
        move(busy, target)
    check = busy.services.vault.check_value
    assert busy.run(installation_state).moved_to == "elsewhere"
    assert database_move.can_finish(target, check)
    assert not database_move.can_finish(target, "0" * 32)
    database_move.finish(target)
    assert not database_move.can_finish(target, check)


def test_copy_with_an_open_source_is_not_served(busy, target, monkeypatch):
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(database_move, "_close_for_good", _interrupt)
        move(busy, target)
    assert busy.run(installation_state).moved_to is None
    busy.user("dora")
    opened = Store(open_database(target), services(busy.clock))
    assert opened.run_now(installation_state).arriving
    opened.close()


def _interrupt(*_args: object) -> None:
    raise KeyboardInterrupt


def test_target_must_be_empty(busy, target):
    opened = open_database(target)
    if isinstance(target, Path):
        target.write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            move(busy, target)
        assert target.read_bytes() == b"mine"
    else:
        with opened.connection_context():
            opened.execute_sql("CREATE TABLE mine (id int)")
        with pytest.raises(NotEmptyError):
            move(busy, target)
        with opened.connection_context():
            assert opened.get_tables() == ["mine"]
    assert busy.run(installation_state).moved_to is None
