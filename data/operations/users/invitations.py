"""Inviting users who have nothing to sign in with yet, and reminding those who must set up 2FA.

An act queues a message. The password of an invitation is created when the message is delivered, and takes
effect when the mail server has accepted it: until then it exists only in the message. Whether the user
may be invited is checked again before the delivery, and again before the password takes effect.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from functools import reduce
from operator import and_
from typing import Any

from peewee import fn

from data.operations.actors import Acting, Actor, facts_of, policy_of, read_user, roles_of
from data.operations.audit import notice_outbox, notices, trail
from data.operations.audit.notice_outbox import Claimed
from data.operations.certificates.withdrawal import withdraw, withdraw_by
from data.operations.guards import require_permission
from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.signin.sessions import end_sessions_of_user
from data.operations.users.credentials import NEW_PASSWORD, set_password
from data.operations.users.invitation_conditions import NO_ADDRESS, only_email
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.operations.users.queries import shown_as
from data.operations.users.target_user import Target, invitee_of, read_holdings, why_not_reminded
from data.operations.users.user_acts import require_target
from data.rules import invitations, passwords
from data.rules.audit_events import Event
from data.rules.deadline import demand_of
from data.rules.domain_types import Mode, Status
from data.rules.invitations import Letter, SshAddress
from data.rules.notices import by_whom
from data.rules.permissions import Action, UserAct
from data.rules.policy import status
from data.rules.sent_codes import Envelope
from data.rules.source_addresses import ON_HOST
from data.storage import models
from data.store import Store, Tx

PAGE = 500
"""Names that are read at once."""
_REPLACED = "You were given a new one-time password. Sign in with it."


class Group(Enum):
    """Which users' names to read."""

    ALL = "all"
    NOT_INVITED = "not invited"
    """Users who can be invited, have no one-time password that is still good, and are not invited already."""
    MUST_SET_UP = "must set up"
    """Users who must set up two-factor authentication at their next sign-in."""


@dataclass(frozen=True, slots=True)
class WrittenPassword:
    """A one-time password that is handed over on paper, and what its user needs with it."""

    name: str
    full_name: str
    email: str
    practice: str
    ssh: SshAddress
    until: datetime
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to deliver for a claimed row; a password in it takes effect after the delivery."""

    envelope: Envelope
    password_hash: str | None = field(default=None, repr=False)
    until: datetime | None = None


@require_target(UserAct.INVITE)
def invite(found: Target) -> Done | Denied:
    """Queue an invitation by e-mail."""
    if not _queue(found, Event.INVITED):
        return Denied(f"{found.user.name} was invited too often in the last hour. Try again later.")
    trail.record(found.acting, Event.INVITED, found.user.name, how="by e-mail")
    return Done(f"{found.user.name} invited by e-mail.")


@require_target(UserAct.REMIND)
def remind(found: Target) -> Done | Denied:
    """Queue a reminder for a user who must set up two-factor authentication and can sign in."""
    if not _queue(found, Event.REMINDED):
        return Denied(f"{found.user.name} was reminded too often. Try again later.")
    trail.record(found.acting, Event.REMINDED, found.user.name)
    return Done(f"{found.user.name} reminded by e-mail.")


async def write_password(store: Store, actor: Actor, name: str) -> WrittenPassword | RefusedOrStale:
    """Set a one-time password, to be handed over on paper, for a user who may be invited."""
    refusal = await store.read(check_written, actor, name)
    if refusal is not None:
        return refusal
    password = passwords.one_time_from_random(store.services.random_bytes(20))
    hashed = await store.compute(store.services.hasher.hash, password)
    return await store.run(store_written, actor, name, password, hashed)


@require_target(UserAct.INVITE_ON_PAPER)
def check_written(_found: Target) -> None:
    """Return why no password can be handed to a user on paper, or None."""


@require_target(UserAct.INVITE_ON_PAPER)
def store_written(found: Target, password: str, password_hash: str) -> WrittenPassword | Denied:
    """Store the hash of a password that is handed over on paper, and return what its user needs."""
    tx, ssh = found.tx, found.tx.services.ssh
    if ssh is None:
        return NO_ADDRESS
    until = passwords.one_time_end(tx.now, invitations.HOURS)
    set_password(found.user, password_hash, until)
    end_sessions_of_user(tx, found.user.id, _REPLACED)
    withdraw_by(found.acting, found.user, NEW_PASSWORD)
    notice_outbox.take_back_invitations(tx, found.user.id)
    trail.record(found.acting, Event.INVITED, found.user.name, how="on paper")
    user = found.user
    return WrittenPassword(user.name, user.full_name, user.email, user.practice.name, ssh, until, password)


@require_permission(Action.SEE_PEOPLE)
def names_of(
    acting: Acting, group: Group, *, practice: str | None = None, after: str = "", limit: int = PAGE
) -> tuple[str, ...] | Denied:
    """Read names of users in order, starting after the name `after`."""
    table = models.User
    wanted = (table.account == acting.account_id) & (table.name > after)
    if practice is not None:
        there = find_practice(acting, practice)
        if there is None:
            return NO_SUCH_PRACTICE
        wanted &= table.practice == there.id
    if group is Group.NOT_INVITED:
        wanted &= _not_invited(acting.tx)
    if group is Group.MUST_SET_UP:
        wanted &= shown_as(demand_of(acting.policy, acting.tx.now), Status.PENDING)
    rows = table.select(table.name).where(wanted).order_by(table.name).limit(limit)
    return tuple(row.name for row in rows)


async def prepare(store: Store, claimed: Claimed) -> Prepared | None:
    """Word the message of a claimed row; if it is no longer needed, record that and return None."""
    if claimed.act.event not in notice_outbox.LOOKED_UP_AGAIN:
        return Prepared(claimed.envelope)
    letter = await store.run(look_up, claimed)
    if letter is None:
        return None
    if claimed.act.event is Event.REMINDED:
        return Prepared(invitations.reminder(letter))
    password = passwords.one_time_from_random(store.services.random_bytes(20))
    hashed = await store.compute(store.services.hasher.hash, password)
    until = passwords.one_time_end(store.services.clock(), invitations.HOURS)
    return Prepared(invitations.invitation(letter, password, until), hashed, until)


def look_up(tx: Tx, claimed: Claimed) -> Letter | None:
    """Look up the user of a claimed row; if the message is now pointless, settle it and return None."""
    user = read_user(claimed.user_id)
    reason = "the user was deleted" if user is None else _outdated(tx, claimed, user)
    if user is None or reason:
        if notice_outbox.drop(tx, claimed):
            _write(tx, claimed, Event.INVITATION_DROPPED, reason=reason)
        return None
    policy, facts = policy_of(user.account), facts_of(tx, user)
    must = demand_of(policy, tx.now).is_of(facts.grace_from) or facts.must_set_up
    return Letter(
        to=claimed.to,
        name=user.name,
        account=user.account.name,
        by=by_whom(claimed.act),
        ssh=invitations.address_in(claimed.act.detail),
        issuer=tx.services.issuer,
        must_set_up=must and policy.mode is not Mode.OFF,
    )


def take_effect(tx: Tx, claimed: Claimed, prepared: Prepared) -> None:
    """Store the hash of the password in a delivered message, unless it was overtaken in the meantime."""
    user = read_user(claimed.user_id)
    if user is None or prepared.password_hash is None or prepared.until is None:
        return
    if not notice_outbox.is_held(claimed) or _outdated(tx, claimed, user):
        return
    set_password(user, prepared.password_hash, prepared.until, mailed_at=tx.now)
    end_sessions_of_user(tx, user.id, _REPLACED)
    withdraw(tx, user.id, NEW_PASSWORD)
    _write(tx, claimed, Event.INVITATION_SENT, until=f"{prepared.until:%Y-%m-%d %H:%M} UTC")


def _queue(found: Target, event: Event) -> bool:
    ssh = found.tx.services.ssh
    return ssh is not None and notices.tell(
        found.tx,
        event,
        found.user,
        [found.user.email],
        actor=found.acting.name,
        origin=found.acting.origin,
        detail=asdict(ssh),
    )


def _not_invited(tx: Tx) -> Any:
    """Return `Group.NOT_INVITED` as SQL: the rule `why_not`, and nothing that is still good or on its way."""
    user = models.User
    conditions = (
        user.active,
        user.locked_at.is_null(),
        user.password_hash.is_null() | (user.one_time_until <= tx.now),
        ~user.lost_factor,
        *(
            ~fn.EXISTS(table.select(1).where(table.user == user.id))
            for table in (models.UserRole, models.PublicKey, models.Factor)
        ),
        ~fn.EXISTS(models.Notice.select(1).where(notice_outbox.is_waiting_invitation(user.id))),
    )
    return reduce(and_, conditions)


def _outdated(tx: Tx, claimed: Claimed, user: models.User) -> str | None:
    """Return why a message is now pointless, or None."""
    if user.email != claimed.to:
        return "the e-mail address has changed"
    holdings = read_holdings(tx, [user.id])[user.id]
    if claimed.act.event is Event.REMINDED:
        return why_not_reminded(
            tx, user, status(policy_of(user.account), facts_of(tx, user), tx.now), holdings
        )
    table = models.Session
    # A try that seemed to fail may have delivered a password that was already used.
    if table.select().where((table.user == user.id) & (table.started_at > claimed.act.at)).exists():
        return "the user has signed in"
    if only_email(policy_of(user.account)):
        return "e-mail is now the only method that is on"
    return invitations.why_not(invitee_of(user, roles_of(user), holdings))


def _write(tx: Tx, claimed: Claimed, event: Event, **detail: object) -> None:
    trail.write(
        tx,
        event,
        ON_HOST,
        account_id=claimed.account_id,
        actor=notice_outbox.ACTOR,
        user=claimed.act.user,
        **detail,
    )
