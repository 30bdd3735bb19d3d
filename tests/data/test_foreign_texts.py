"""Texts that a database does not take, given to every operation that takes a text."""

from dataclasses import fields, replace

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World

from data.operations.audit import trail
from data.operations.maintenance import accounts
from data.operations.policy import auditor_report, policy_settings
from data.operations.signin import enrolment, first_factor, second_factor, sessions
from data.operations.users import (
    credentials,
    factor_administration,
    lifecycle,
    practices,
    user_export,
    user_summaries,
)
from data.operations.users.lifecycle import NewUser, UserChanges
from data.operations.users.user_search import UserQuery

# A byte that ends a text elsewhere, half of a character, and more than a column holds.
NASTY = ("a\0b", "\0", "\ud800", "é\udfff", "x" * 5_000)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA "


def everything(world: World, me, text: str):
    """Return calls of every operation that takes a text from outside."""
    new = NewUser("new", "new@clinic.example")
    return [
        (lifecycle.create_user, me, replace(new, name=text)),
        (lifecycle.create_user, me, replace(new, email=text)),
        (lifecycle.create_user, me, replace(new, full_name=text)),
        (lifecycle.create_user, me, replace(new, phone=text)),
        (lifecycle.create_user, me, replace(new, practice=text)),
        *(
            (lifecycle.edit_user, me, "bob", UserChanges(**{field.name: text}))
            for field in fields(UserChanges)
        ),
        *((lifecycle.edit_own, me, UserChanges(**{field.name: text})) for field in fields(UserChanges)),
        (lifecycle.edit_user, me, text, UserChanges(full_name="x")),
        (user_summaries.user_detail, me, text),
        (user_summaries.list_users, me, UserQuery(search=text)),
        (user_summaries.list_users, me, UserQuery(practice=text)),
        (trail.list_entries, me, trail.Filter(user=text)),
        (trail.list_entries, me, trail.Filter(event=text)),
        (practices.add_practice, me, text),
        (practices.rename_practice, me, "Main", text),
        (practices.rename_practice, me, text, "Other"),
        (practices.move_user, me, "bob", text),
        (accounts.add_account, OPERATOR, text, "Main", new),
        (accounts.add_account, OPERATOR, "Third", text, new),
        (accounts.show_account, OPERATOR, text),
        (policy_settings.show_policy, replace(OPERATOR, account=text)),
        (credentials.add_key, me, KEY + text),
        (credentials.add_key, me, text),
        (credentials.set_one_time_password, me, text, "hash"),
        (enrolment.begin_sms, me, text),
        (factor_administration.unlock, me, "bob", text),
        (factor_administration.set_required, me, text),
        (sessions.list_sessions, me),
        (user_export.export_people, me),
        (auditor_report.summarise, me, text),
        (auditor_report.list_unprotected, me, text),
        (auditor_report.list_exceptions, me, text),
        (first_factor.find_candidate, text, world.origin()),
        (second_factor.submit_code, world.attempt("boss"), text),
    ]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:8])
def test_whatever_text_is_given_is_answered(world, text):
    world.user("bob")
    me = world.person("boss", SYSTEM, SECURITY)
    for operation, *args in everything(world, me, text):
        keywords = {"required": True} if operation is factor_administration.set_required else {}
        try:
            world.run(operation, *args, **keywords)
        except Exception as error:  # noqa: BLE001 - whichever it is.
            pytest.fail(f"{operation.__name__}: {type(error).__name__}: {ascii(str(error))[:200]}")
