"""Applications that guess codes: each rejection is noted, and too many users' wrong codes suspend one.

Guesses through an application that says where its users come from are slowed down by that address first.
"""

from dataclasses import dataclass

from peewee import fn

from data.operations.audit import notices, trail
from data.rules import throttle
from data.rules.applications import GUESSED_USERS, GUESSING_MINUTES
from data.rules.audit_events import Event
from data.rules.domain_types import Role
from data.rules.source_addresses import Origin, source_of
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

ACTOR = "system:applications"
_Rejects = models.ApplicationRejects


@dataclass(frozen=True, slots=True)
class Guess:
    """Where an answer came from, and the bucket of the name that it was for."""

    origin: Origin
    bucket: int

    @property
    def source(self) -> str:
        """The source that the address counts as."""
        return source_of(self.origin.address)


_OF_SOURCE = Prepared(
    _Rejects,
    2,
    lambda source, minute: (
        _Rejects.select()
        .where((_Rejects.source == source) & (_Rejects.minute > minute))
        .limit(throttle.ENOUGH)
    ),
)


def delay_of(tx: Tx, guess: Guess) -> float:
    """Return the seconds that the next answer from this address for this name waits."""
    of_source = of_name = 0
    for row in _OF_SOURCE.all(guess.source, _minute(tx) - throttle.WINDOW_MINUTES):
        of_source += row.count
        of_name += row.count if row.bucket == guess.bucket else 0
    return throttle.delay(failures_of_source=of_source, failures_of_name=of_name)


def note_reject(tx: Tx, application: models.Application, guess: Guess, user_id: int) -> bool:
    """Note a rejection, and whose code was wrong or 0; return whether it suspends the application."""
    minute = _minute(tx)
    if not _Rejects.select().where(_Rejects.minute == minute).exists():
        _Rejects.delete().where(_Rejects.minute < minute - throttle.WINDOW_MINUTES).execute()
    _Rejects.insert(
        application=application.id,
        source=guess.source,
        bucket=guess.bucket,
        user_id=user_id,
        minute=minute,
        count=1,
    ).on_conflict(
        conflict_target=[
            _Rejects.source,
            _Rejects.bucket,
            _Rejects.user_id,
            _Rejects.minute,
            _Rejects.application,
        ],
        update={_Rejects.count: _Rejects.count + 1},
    ).execute()
    guessed = _Rejects.select(fn.COUNT(_Rejects.user_id.distinct())).where(
        (_Rejects.application == application.id)
        & (_Rejects.minute > minute - GUESSING_MINUTES)
        & (_Rejects.user_id > 0)
    )
    users = int(guessed.scalar())
    if users < GUESSED_USERS:
        return False
    _suspend(tx, application, users, guess.origin)
    return True


def forget_guesses(application: models.Application) -> None:
    """Forget whose codes were wrong through an application that is trusted again."""
    _Rejects.delete().where((_Rejects.application == application.id) & (_Rejects.user_id > 0)).execute()


def _suspend(tx: Tx, application: models.Application, users: int, origin: Origin) -> None:
    models.Application.update(suspended_at=tx.now).where(models.Application.id == application.id).execute()
    told = {"name": application.name, "users": users}
    account_id = application.account_id
    trail.write(
        tx, Event.APPLICATION_SUSPENDED, origin, account_id=account_id, actor=ACTOR, user=None, **told
    )
    roles = models.UserRole
    holders = roles.select(roles.user).where(roles.role == Role.SECURITY_ADMIN.value)
    admins = models.User.select().where(
        (models.User.account == account_id) & models.User.active & models.User.id.in_(holders)
    )
    for admin in list(admins):
        notices.tell(
            tx,
            Event.APPLICATION_SUSPENDED,
            admin,
            [admin.email],
            actor=ACTOR,
            origin=origin,
            detail=told,
        )


def _minute(tx: Tx) -> int:
    return int(tx.now.timestamp()) // 60
