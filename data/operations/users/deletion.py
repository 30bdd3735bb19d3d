"""Deleting a user: a hidden row stays, so that the user's number is never given to anyone else."""

from typing import Any

from peewee import ForeignKeyField

from data.operations.audit import trail
from data.operations.certificates.withdrawal import withdraw_by
from data.operations.results import Done
from data.operations.signin.sessions import end_sessions_of_user
from data.operations.users.target_user import Target
from data.operations.users.uniqueness import KEPT_AFTER_DELETION
from data.operations.users.user_acts import require_target
from data.rules.audit_events import Event
from data.rules.permissions import UserAct
from data.rules.policy import Refusal
from data.storage import models

_KEPT = (models.Session, models.DeletedUser, models.Certificate, *models.KEPT_BY_TRIGGERS)
"""Tables whose rows outlive a user.

Their ended sessions, for servers that still hold one open; and their withdrawn certificates, for hosts.
"""


@require_target(UserAct.DELETE)
def delete_user(found: Target) -> Done:
    """Delete a user and everything known about them; the audit log keeps their name."""
    user = found.user
    trail.record(found.acting, Event.USER_DELETED, user.name)
    end_sessions_of_user(found.tx, user.id, Refusal.DEACTIVATED)
    withdrawn = withdraw_by(found.acting, user, "the user was deleted")
    certificate = models.Certificate
    certificate.update(key_id="", fingerprint="", principals="", source_addresses="").where(
        certificate.user == user.id
    ).execute()
    for table, field in _tables_about_users():
        table.delete().where(field == user.id).execute()
    # No user name contains a tilde.
    placeholder = f"~{user.id}"
    models.User.update(
        name=placeholder,
        email=placeholder,
        full_name="",
        phone=None,
        active=False,
        required=False,
        lost_factor=False,
        password_hash=None,
        one_time_until=None,
        wrong_answers="",
        last_signin_at=None,
        password_mailed_at=None,
        standing=models.TOMBSTONE,
        standing_since=found.tx.now,
        few_codes=False,
        known_places=None,
    ).where(models.User.id == user.id).execute()
    models.DeletedUser.insert(user=user.id, name=user.name, at=found.tx.now).execute()
    free = f"The name is free again in {KEPT_AFTER_DELETION.days} days."
    return Done(f"User {user.name} deleted. {free}{withdrawn}")


def _tables_about_users() -> list[tuple[type[Any], ForeignKeyField]]:
    """Return every table that refers to a user, with the field that does."""
    return [
        (table, field)
        for table in models.TABLES
        if table not in _KEPT
        for field in table._meta.refs  # noqa: SLF001 - peewee's own name for them.
        if field.rel_model is models.User
    ]
