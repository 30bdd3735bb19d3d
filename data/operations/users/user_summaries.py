"""Reading users: the users table, one user's details, one's own profile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from data.operations.actors import (
    Acting,
    ActingUser,
    days_left_of,
    factor_of,
    facts_of,
    policy_of,
    usable_factors,
)
from data.operations.audit import trail
from data.operations.audit.wrong_codes import spent_attempts
from data.operations.certificates.listing import CertificateRow, live_certificates_of
from data.operations.guards import first_hindrance, require_permission, require_user, why_not
from data.operations.results import Denied
from data.operations.signin import code_verification
from data.operations.signin.enrolment import why_not_set_up, why_not_turn_off
from data.operations.signin.recovery_codes import why_not_renew
from data.operations.signin.remembered_addresses import NOTHING_REMEMBERED, Remembered, remembered_of
from data.operations.signin.resync import offered_until
from data.operations.signin.sessions import SessionPage, own_sessions
from data.operations.users.bulk_actions import Bulk, bulk_acts
from data.operations.users.credentials import why_no_key_less, why_no_key_more
from data.operations.users.principals import PrincipalRow, principals_to_show
from data.operations.users.target_user import ActContext, Target, read_holdings
from data.operations.users.user_acts import acts_on, grantable, require_target, who_can, why_not_offered
from data.operations.users.user_search import Cursor, UserQuery, find_users
from data.rules.deadline import Demand, demand_of
from data.rules.domain_types import Method, Mode, Role, Status
from data.rules.permissions import Action, OwnAct, SensitiveAction, UserAct
from data.rules.policy import status
from data.rules.sent_codes import masked
from data.rules.user_status import Standing, status_of
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx

RECENT = 8
_NO_OTHER_SESSION = Denied("You have no other open session.")


@dataclass(frozen=True, slots=True)
class UserRow:
    """One row of the users table."""

    id: int
    name: str
    full_name: str
    email: str
    phone: str | None
    practice: str
    roles: frozenset[Role]
    status: Status
    last_signin_at: datetime | None
    acts: frozenset[UserAct] = frozenset()


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of users; `following` is where the next one starts, if there is one.

    `total` counts all matches; if `uncounted`, there may be more. A search shows no more than it counts;
    with filters alone, or several words that many have, following pages show all, and each may hold few rows,
    or none.
    `several_practices` says whether the account has more than one. The rest is what the actor may do: to
    several users at once, whether to add some, and with which roles; and who can do what the actor may not.
    """

    rows: tuple[UserRow, ...]
    total: int
    following: Cursor | None
    uncounted: bool
    several_practices: bool
    bulk: frozenset[Bulk] = frozenset()
    may_add: bool = False
    grantable: frozenset[Role] = frozenset()
    who_can: str = ""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An SSH key as lists show it."""

    fingerprint: str
    algorithm: str
    comment: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FactorRow:
    """A second factor as lists show it; `masked` is where its codes are sent."""

    method: Method
    masked: str | None
    confirmed_at: datetime


@dataclass(frozen=True, slots=True)
class UserDetail:
    """Everything an administrator sees of a user. `one_time_until` is when a one-time password expires.

    `demand` is what the policy demands now, and `days_left` how long a user who has not set up two-factor
    authentication can still put that off, if they can and must.
    `principals` are those of the user, also such as do not count; there are none if the account issues no
    certificates and none were given. `certificates` counts those that hosts accept.
    `attempts_used` says in which applications the attempts were used that are no longer left.

    `acts` are those that the actor may do to the user now, `grantable` the roles that they may change, and
    `who_can` says who can do the rest. Of oneself, see `Profile`.
    """

    id: int
    name: str
    full_name: str
    email: str
    phone: str | None
    practice: str
    account: str
    account_id: int
    demand: Demand
    days_left: int | None
    roles: frozenset[Role]
    status: Status
    required: bool
    active: bool
    locked_at: datetime | None
    attempts_left: int
    attempts_used: str
    enrolled_at: datetime | None
    factors: tuple[FactorRow, ...]
    recovery_codes_left: int
    has_password: bool
    one_time_until: datetime | None
    keys: tuple[KeyRow, ...]
    remembered: tuple[Remembered, ...]
    resync_until: datetime | None
    created_at: datetime
    last_signin_at: datetime | None
    recent: tuple[trail.Entry, ...]
    principals: tuple[PrincipalRow, ...]
    certificates: tuple[CertificateRow, ...]
    acts: frozenset[UserAct] = frozenset()
    grantable: frozenset[Role] = frozenset()
    who_can: str = ""

    @property
    def mode(self) -> Mode:
        """The account's mode."""
        return self.demand.mode


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything users see of themselves, and what they may do now."""

    detail: UserDetail
    acts: frozenset[OwnAct]
    must_use_two_factor: bool
    methods: frozenset[Method]
    sessions: SessionPage
    plain: bool = False
    """Whether they prefer the plain mode."""


@require_permission(Action.SEE_PEOPLE)
def list_users(acting: Acting, query: UserQuery) -> UserPage:
    """Read one page of the users table, straight from the database."""
    found = find_users(acting, query)
    users = {row.id: row for row in models.User.select().where(models.User.id.in_(found.ids))}
    shown = [users[user_id] for user_id in found.ids]
    roles = roles_by_user(found.ids)
    practices = _practice_names({row.practice_id for row in shown})
    demand = demand_of(acting.policy, acting.tx.now)
    context = ActContext(acting)
    acts = {} if acting.is_operator else _acts_on_each(context, shown, roles)
    return UserPage(
        tuple(
            _row(
                row,
                demand,
                roles.get(row.id, frozenset()),
                practices[row.practice_id],
                acts.get(row.id, frozenset()),
            )
            for row in shown
        ),
        found.total,
        found.following,
        found.uncounted,
        context.has_several_practices,
        bulk_acts(context),
        why_not(acting, SensitiveAction.EMPOWER_PEOPLE) is None,
        grantable(acting),
        first_hindrance(acting, Action.MANAGE_PEOPLE, SensitiveAction.EMPOWER_PEOPLE),
    )


def _acts_on_each(
    context: ActContext, users: Sequence[models.User], roles: Mapping[int, frozenset[Role]]
) -> dict[int, frozenset[UserAct]]:
    if not context.permitted:
        return {}
    acting = context.acting
    held = read_holdings(acting.tx, [user.id for user in users])
    return {
        user.id: acts_on(Target(acting, user, roles.get(user.id, frozenset()), context, held[user.id]))
        for user in users
    }


@require_target(Action.SEE_PEOPLE)
def user_detail(found: Target, act: UserAct | None = None) -> UserDetail | Denied:
    """Read everything about one user; with an `act`, for that, if the actor may do it to them now."""
    if act is not None and (refusal := why_not(found.acting, act.permission) or why_not_offered(act, found)):
        return refusal
    return replace(
        _detail(found.tx, found.user),
        acts=acts_on(found),
        grantable=grantable(found.acting),
        who_can=who_can(found),
    )


@require_user()
def my_profile(me: ActingUser, act: OwnAct | None = None) -> Profile | Denied:
    """Read the actor's own profile; for an `act`, if the actor may do it now."""
    detail, open_ones = _detail(me.tx, me.user), own_sessions(me)
    hindered = _hindered(me, detail, open_ones)
    if act is not None and (refusal := hindered[act]):
        return refusal
    return Profile(
        detail,
        acts=frozenset(act for act, refusal in hindered.items() if refusal is None),
        must_use_two_factor=me.facts.must_use_two_factor or me.policy.mode in (Mode.REQUIRED, Mode.PERMANENT),
        methods=me.policy.methods,
        sessions=open_ones,
        plain=me.user.plain,
    )


def _hindered(me: ActingUser, mine: UserDetail, open_ones: SessionPage) -> dict[OwnAct, Denied | None]:
    """Return why users may not do each act to their own things now, from what was already read of them."""
    keys = len(mine.keys)
    return {
        OwnAct.SET_UP: why_not_set_up(me),
        OwnAct.TURN_OFF: why_not_turn_off(me),
        OwnAct.RECOVERY_CODES: why_not_renew(me),
        OwnAct.ADD_KEY: why_no_key_more(keys),
        OwnAct.REMOVE_KEY: why_no_key_less(keys, has_password=mine.has_password),
        OwnAct.FORGET: None if mine.remembered else Denied(NOTHING_REMEMBERED),
        OwnAct.END_SESSIONS: None if open_ones.total > 1 else _NO_OTHER_SESSION,
    }


def _practice_names(ids: set[int]) -> dict[int, str]:
    table = models.Practice
    return {row.id: row.name for row in table.select().where(table.id.in_(list(ids)))}


def _row(
    user: models.User,
    demand: Demand,
    roles: frozenset[Role],
    practice: str,
    acts: frozenset[UserAct],
) -> UserRow:
    return UserRow(
        id=user.id,
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        phone=user.phone,
        practice=practice,
        roles=roles,
        status=status_of(demand, Standing(user.standing), user.grace_from),
        last_signin_at=user.last_signin_at,
        acts=acts,
    )


def roles_by_user(user_ids: Iterable[int]) -> dict[int, frozenset[Role]]:
    """Read the roles of several users; users without a role are left out."""
    table = models.UserRole
    held: dict[int, frozenset[Role]] = {}
    for row in table.select().where(table.user.in_(list(user_ids))):
        held[row.user_id] = held.get(row.user_id, frozenset()) | {Role(row.role)}
    return held


_KEYS = Prepared(
    models.PublicKey,
    1,
    lambda key: models.PublicKey.select().where(models.PublicKey.user == key).order_by(models.PublicKey.id),
)
_PRACTICE = Prepared(
    models.Practice, 1, lambda key: models.Practice.select().where(models.Practice.id == key)
)


def key_rows(user_id: int) -> tuple[KeyRow, ...]:
    """Read a user's SSH keys."""
    return tuple(
        KeyRow(row.fingerprint, row.algorithm, row.comment, row.added_at, row.last_used_at)
        for row in _KEYS.all(user_id)
    )


def _detail(tx: Tx, user: models.User) -> UserDetail:
    account = user.account
    policy, facts = policy_of(account), facts_of(tx, user)
    factors = tuple(
        FactorRow(
            Method(row.kind),
            masked(Method(row.kind), row.destination) if row.destination else None,
            row.confirmed_at,
        )
        for row in usable_factors(user.id, policy)
    )
    spent = spent_attempts(user, user.attempts_left)
    practice = _PRACTICE.one(user.practice_id)
    return UserDetail(
        id=user.id,
        name=user.name,
        full_name=user.full_name,
        email=user.email,
        phone=user.phone,
        practice=practice.name if practice else "",
        account=account.name,
        account_id=account.id,
        demand=demand_of(policy, tx.now),
        days_left=days_left_of(policy, user, tx.now),
        roles=facts.roles,
        status=status(policy, facts, tx.now),
        required=user.required,
        active=user.active,
        locked_at=user.locked_at,
        attempts_left=user.attempts_left,
        attempts_used=spent.words if spent.count else "",
        enrolled_at=min((factor.confirmed_at for factor in factors), default=None),
        factors=factors,
        recovery_codes_left=code_verification.codes_left(user.id),
        has_password=user.password_hash is not None,
        one_time_until=user.one_time_until,
        keys=key_rows(user.id),
        remembered=remembered_of(tx, user),
        resync_until=offered_until(tx, factor_of(user.id, Method.APP)),
        created_at=user.created_at,
        last_signin_at=user.last_signin_at,
        recent=tuple(trail.newest_of(account.id, user.name, RECENT)),
        principals=principals_to_show(tx, user),
        certificates=live_certificates_of(tx, user.id),
    )
