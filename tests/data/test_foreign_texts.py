"""Texts that a database does not take, given to every operation that takes a text."""

from dataclasses import fields, replace

import pytest
from support.data_world import OPERATOR, SECURITY, SYSTEM, World

from data.operations.people import credentials, directory, exporting, practices, reading, two_factor
from data.operations.people.directory import NewUser, UserChanges
from data.operations.people.finding import UserQuery
from data.operations.policy import account
from data.operations.record import audit
from data.operations.signing_in import enrollment, first_factor, second_factor, sessions
from data.operations.upkeep import accounts

# A byte that ends a text elsewhere, half of a character, and more than a column holds.
NASTY = ("a\0b", "\0", "\ud800", "é\udfff", "x" * 5_000)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA "


def everything(world: World, me, text: str):
    """Return calls of every operation that takes a text from outside."""
    new = NewUser("new", "new@clinic.example")
    return [
        (directory.create_user, me, replace(new, name=text)),
        (directory.create_user, me, replace(new, email=text)),
        (directory.create_user, me, replace(new, full_name=text)),
        (directory.create_user, me, replace(new, phone=text)),
        (directory.create_user, me, replace(new, practice=text)),
        *(
            (directory.edit_user, me, "bob", UserChanges(**{field.name: text}))
            for field in fields(UserChanges)
        ),
        *((directory.edit_own, me, UserChanges(**{field.name: text})) for field in fields(UserChanges)),
        (directory.edit_user, me, text, UserChanges(full_name="x")),
        (reading.user_detail, me, text),
        (reading.list_users, me, UserQuery(search=text)),
        (reading.list_users, me, UserQuery(practice=text)),
        (audit.list_entries, me, audit.Filter(user=text)),
        (audit.list_entries, me, audit.Filter(event=text)),
        (practices.add_practice, me, text),
        (practices.rename_practice, me, "Main", text),
        (practices.rename_practice, me, text, "Other"),
        (practices.move_user, me, "bob", text),
        (accounts.add_account, OPERATOR, text, "Main", new),
        (accounts.add_account, OPERATOR, "Third", text, new),
        (accounts.show_account, OPERATOR, text),
        (account.show_policy, replace(OPERATOR, account=text)),
        (credentials.add_key, me, KEY + text),
        (credentials.add_key, me, text),
        (credentials.set_one_time_password, me, text, "hash"),
        (enrollment.begin_sms, me, text),
        (two_factor.unlock, me, "bob", text),
        (two_factor.set_required, me, text),
        (sessions.list_sessions, me),
        (exporting.export_people, me),
        (first_factor.find_candidate, text, world.origin()),
        (second_factor.submit_code, world.attempt("boss"), text),
    ]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:8])
def test_whatever_text_is_given_is_answered(world, text):
    world.user("bob")
    me = world.person("boss", SYSTEM, SECURITY)
    for operation, *args in everything(world, me, text):
        keywords = {"required": True} if operation is two_factor.set_required else {}
        try:
            world.run(operation, *args, **keywords)
        except Exception as error:  # noqa: BLE001 - whichever it is.
            pytest.fail(f"{operation.__name__}: {type(error).__name__}: {ascii(str(error))[:200]}")
