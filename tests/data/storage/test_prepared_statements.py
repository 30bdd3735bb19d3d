"""Statements that are written once: each use has its own values, and each kind of database its own text."""

from data.rules.domain_types import Method
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedInsert, PreparedWrite

BY_NAME = Prepared(models.User, 1, lambda name: models.User.select().where(models.User.name == name))
RENAME = PreparedWrite(
    2,
    lambda text, name: models.User.update(full_name=text).where(
        (models.User.name == name) & (models.User.active == True)  # noqa: E712 - peewee builds SQL from it.
    ),
)


def test_read_finds_present_values(world):
    world.user("anna")
    world.user("bert")
    assert [BY_NAME.one(name).email for name in ("anna", "bert", "anna")] == [
        "anna@clinic.example",
        "bert@clinic.example",
        "anna@clinic.example",
    ]
    assert BY_NAME.one("nobody") is None
    assert BY_NAME.all("' OR 1=1 --") == []


def test_rows_equal_an_ordinary_read(world):
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email("bert", world.enrol(world.user("bert")))
    table = models.Factor
    prepared = Prepared(table, 1, lambda user: table.select().where(table.user == user))
    user = world.row("bert").id
    rows = {row.kind: row for row in prepared.all(user)}
    assert set(rows) == {Method.APP.value, Method.EMAIL.value}
    for plain in table.select().where(table.user == user):
        assert rows[plain.kind].__data__ == plain.__data__


def test_what_a_row_belongs_to_comes_with_it(world):
    world.user("anna")
    both = Prepared(
        models.User,
        1,
        lambda name: (
            models.User.select(models.User, models.Account)
            .join(models.Account)
            .where(models.User.name == name)
        ),
        parent="account",
    )
    anna = both.one("anna")
    assert anna.__data__ == world.row("anna").__data__
    assert anna.account.__data__ == models.Account.get().__data__
    assert both.one("nobody") is None


def test_a_prepared_insert_returns_the_id_of_its_row(world):
    account = models.Account.get().id
    add = PreparedInsert(2, lambda of, name: models.Practice.insert(account=of, name=name))
    made = {add.run(account, name): name for name in ("East Wing", "West Wing")}
    assert made == {row.id: row.name for row in models.Practice.select() if row.id in made}
    assert len(made) == 2
    world.catch_up()


def test_write_counts_its_rows(world):
    world.user("anna")
    assert RENAME.run("Anna 'A' Lee", "anna") == 1
    assert world.row("anna").full_name == "Anna 'A' Lee"
    world.set("anna", active=False)
    assert RENAME.run("other", "anna") == 0
    assert RENAME.run("other", "nobody") == 0
    world.catch_up()
