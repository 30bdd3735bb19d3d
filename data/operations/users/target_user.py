"""The user whom an administrator acts on, and what acts on them depend on."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from peewee import fn

from data.operations.actors import Acting
from data.operations.audit.notice_outbox import is_waiting_invitation
from data.operations.guards import why_not
from data.operations.results import Denied
from data.rules import invitations, passwords
from data.rules.audit_events import Event
from data.rules.deadline import demand_of
from data.rules.domain_types import ADMIN_ROLES, Method, Role, Status
from data.rules.invitations import Invitee
from data.rules.permissions import UserAct, outranks
from data.rules.user_fields import fold_username
from data.rules.user_status import Standing, status_of
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a user has, as far as acts on them depend on it; it is read for many users in one statement.

    `reminded` says that they were reminded lately, `invited` that an invitation is on its way.
    """

    keys: int
    has_factor: bool
    has_app: bool
    recovery_codes: bool
    remembered: bool
    invited: bool
    reminded: bool


@dataclass(frozen=True)
class ActContext:
    """What acts on a user depend on besides that user; it is read once for all users of a page."""

    acting: Acting

    @cached_property
    def permitted(self) -> frozenset[UserAct]:
        """The acts that the actor may do to some user; a fresh proof may be asked for."""
        needed = {act.permission for act in UserAct}
        held = {permission for permission in needed if why_not(self.acting, permission) is None}
        return frozenset(act for act in UserAct if act.permission in held)

    @cached_property
    def holders(self) -> dict[Role, int]:
        """How many active users hold each admin role."""
        table = models.UserRole
        counted = (
            table.select(table.role, fn.COUNT(table.user))
            .join(models.User)
            .where(
                table.role.in_([role.value for role in ADMIN_ROLES])
                & (models.User.account == self.acting.account_id)
                & models.User.active
            )
            .group_by(table.role)
        )
        rows: Iterable[tuple[str, int]] = counted.tuples().iterator()
        return {Role(role): count for role, count in rows}

    @cached_property
    def has_several_practices(self) -> bool:
        """Whether there is a practice to move a user to."""
        table = models.Practice
        return len(table.select(table.id).where(table.account == self.acting.account_id).limit(2)) > 1


@dataclass(frozen=True)
class Target:
    """An administrator and the user they act on."""

    acting: Acting
    user: models.User
    roles: frozenset[Role]
    context: ActContext
    seen: Holdings | None = None
    """What the user has, if it was already read."""

    @property
    def tx(self) -> Tx:
        """The transaction in which the act happens."""
        return self.acting.tx

    @property
    def is_oneself(self) -> bool:
        """Whether the administrator is that user."""
        return self.acting.user is not None and self.acting.user.id == self.user.id

    @cached_property
    def holdings(self) -> Holdings:
        """What the user has now."""
        return self.seen or read_holdings(self.tx, [self.user.id])[self.user.id]

    @property
    def status(self) -> Status:
        """The status that tables show."""
        demand = demand_of(self.acting.policy, self.tx.now)
        return status_of(demand, Standing(self.user.standing), self.user.grace_from)

    @property
    def invitee(self) -> Invitee:
        """What an invitation of the user depends on."""
        return invitee_of(self.user, self.roles, self.holdings)


_BY_NAME = Prepared(
    models.User,
    2,
    lambda name, account: models.User.select().where(
        (models.User.name == name) & (models.User.account == account)
    ),
)


def find_user(acting: Acting, name: str) -> models.User | Denied:
    """Look up a user of the actor's own account by name."""
    folded = fold_username(name)
    user = _BY_NAME.one(folded or "", acting.account_id)
    return user if user is not None else Denied("The user was not found.")


def outranked_by(found: Target) -> Denied | None:
    """Refuse to reset someone who holds a role that the actor lacks."""
    if found.acting.is_operator or outranks(found.acting.roles, found.roles):
        return None
    lacking = ", ".join(role.label for role in sorted(found.roles - found.acting.roles))
    return Denied(
        f"{found.user.name} holds a role that you do not ({lacking}). Only someone who holds it can change "
        "their password, keys or 2FA."
    )


def read_holdings(tx: Tx, user_ids: Collection[int]) -> dict[int, Holdings]:
    """Read what these users have, in one statement."""
    user, key, factor, notice = models.User, models.PublicKey, models.Factor, models.Notice
    code, address = models.RecoveryCode, models.RememberedAddress
    reminded = (
        (notice.user == user.id)
        & (notice.event == Event.REMINDED.value)
        & (notice.at > tx.now - invitations.REMINDED_EVERY)
    )
    asked = user.select(
        user.id,
        key.select(fn.COUNT(key.id)).where(key.user == user.id),
        fn.EXISTS(factor.select(1).where(factor.user == user.id)),
        fn.EXISTS(factor.select(1).where((factor.user == user.id) & (factor.kind == Method.APP.value))),
        fn.EXISTS(
            code.select(1).where((code.user == user.id) & code.used_at.is_null() & code.expires_at.is_null())
        ),
        fn.EXISTS(address.select(1).where((address.user == user.id) & (address.until > tx.now))),
        fn.EXISTS(notice.select(1).where(is_waiting_invitation(user.id))),
        fn.EXISTS(notice.select(1).where(reminded)),
    ).where(user.id.in_(list(user_ids)))
    rows: Iterable[tuple[int, ...]] = asked.tuples().iterator()
    return {user_id: Holdings(keys, *(bool(has) for has in rest)) for user_id, keys, *rest in rows}


def invitee_of(user: models.User, roles: Collection[Role], holdings: Holdings) -> Invitee:
    """Return what an invitation of a user depends on."""
    return Invitee(
        name=user.name,
        active=user.active,
        locked=user.locked_at is not None,
        has_role=bool(roles),
        has_own_password=user.password_hash is not None and user.one_time_until is None,
        has_key=holdings.keys > 0,
        has_factor=holdings.has_factor or user.lost_factor or holdings.recovery_codes,
    )


def why_not_reminded(tx: Tx, user: models.User, status: Status, holdings: Holdings) -> str | None:
    """Return why a reminder to set up two-factor authentication makes no sense for a user, or None."""
    if status is not Status.PENDING:
        return f"{user.name} does not have to set up two-factor authentication now."
    good = user.password_hash is not None and not passwords.one_time_ended(tx.now, user.one_time_until)
    if good or holdings.keys:
        return None
    return f"{user.name} has nothing to sign in with. Send an invitation instead."
