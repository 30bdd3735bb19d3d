"""An account's two-factor policy: showing it, previewing whom a change affects, and changing it."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from data.operations.actors import Acting, Actor
from data.operations.audit import trail
from data.operations.certificates.issuing import extensions_of
from data.operations.certificates.withdrawal import count_live, withdraw_where
from data.operations.derived_user_columns import refresh_standing
from data.operations.guards import authorise, require_permission, why_not
from data.operations.policy.deadlines import deadline_columns, put_deadline_off, why_not_deadline
from data.operations.policy.permanent_mode import items_of
from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.signin.remembered_addresses import shorten
from data.operations.signin.sessions import rejudge_sessions
from data.operations.users.queries import has_factor, people_in
from data.operations.users.user_counts import count_users
from data.operations.users.user_search import UserQuery, find_users
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.deadline import begins, days_until, demand_of, is_put_off, mode_in_words, why_not_day
from data.rules.domain_types import NEVER, Method, Mode, Policy, PolicyNotice, Status, UserFacts
from data.rules.permanent_mode import People, passes
from data.rules.permissions import Action, SensitiveAction, action_to_enter
from data.rules.policy import may_enter_mode
from data.rules.remembered_addresses import MAX_DAYS, period_in_words
from data.rules.ssh_certificates import Extension
from data.storage import models
from data.store import Tx

_COLUMNS = {
    PolicyNotice.NEW_PLACES: models.Account.notify_new_places,
    PolicyNotice.LOCKS: models.Account.notify_locks,
}
NAMED_PEOPLE = 5
"""How many people a preview names; the others are counted."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The account's policy, how many active users have each status, and how many practices it applies to.

    `permanent_since` and `permanent_by` say when and by whom the mode was made permanent. `days_left` are
    the days until the deadline, if that is ahead, and `put_off` is how often it was put off.
    `certificate_hours` is how long certificates are valid, 0 if none are issued.

    The rest is what the actor may do: change to which other modes (`permanent` once its checklist passes),
    switch which methods, set the days and the notices, and send test messages; and who can do what they
    may not.
    `unsendable` are the methods for which nothing is set up.
    """

    account: str
    policy: Policy
    people: dict[Status, int]
    practices: int
    permanent_since: datetime | None = None
    permanent_by: str | None = None
    days_left: int | None = None
    put_off: int = 0
    certificate_hours: int = 0
    certificate_extensions: frozenset[Extension] = frozenset()
    modes: frozenset[Mode] = frozenset()
    switchable: frozenset[Method] = frozenset()
    unsendable: frozenset[Method] = frozenset()
    may_set_days: bool = False
    may_test: bool = False
    who_can: str = ""

    @property
    def deadline_ahead(self) -> datetime | None:
        """The deadline, unless it has passed."""
        return None if self.days_left is None else self.policy.deadline


@dataclass(frozen=True, slots=True)
class ModePreview:
    """The active users that a change of the mode or its deadline affects.

    `deadline` is the new deadline, `days_left` how many days are left until then, and `not_asked_names` the
    first of those who have until then; `puts_off` says that someone then can wait longer than now.
    `refusal` says why the actor cannot make the change; `pending_names` are the first of the pending,
    `released` those who would no longer be asked for a code with the mode off. The operator sets nothing up.
    """

    before: Mode
    after: Mode
    ready: int
    pending: int
    pending_names: tuple[str, ...]
    not_asked: int
    released: People
    you_must_set_up: bool | None
    refusal: str | None
    deadline_before: datetime | None = None
    deadline: datetime | None = None
    days_left: int | None = None
    not_asked_names: tuple[str, ...] = ()
    puts_off: bool = False


@dataclass(frozen=True, slots=True)
class MethodsPreview:
    """The active users that a change of the methods leaves without a usable one.

    `refusal` says why the actor cannot make the change; `without_names` are the first of those users.
    `certificates` counts the live ones that are withdrawn.
    """

    before: frozenset[Method]
    after: frozenset[Method]
    without: int
    without_names: tuple[str, ...]
    you_are_left: bool
    certificates: int
    refusal: str | None


@require_permission(Action.SEE_PEOPLE)
def show_policy(acting: Acting) -> PolicyView:
    """Read the policy and count the users by status."""
    account = models.Account.get_by_id(acting.account_id)
    policy, services = acting.policy, acting.tx.services
    refusal = why_not(acting, SensitiveAction.SET_POLICY)
    return PolicyView(
        account.name,
        acting.policy,
        _count(acting, acting.policy),
        models.Practice.select().where(models.Practice.account == acting.account_id).count(),
        account.permanent_at,
        account.permanent_by,
        days_left=days_until(policy, acting.tx.now),
        put_off=account.put_off,
        certificate_hours=account.certificate_hours,
        certificate_extensions=extensions_of(account),
        modes=frozenset(mode for mode in Mode if _out_of_reach(acting, mode) is None),
        switchable=frozenset(
            method for method in Method if _methods_refusal(acting, policy.methods ^ {method}) is None
        ),
        unsendable=frozenset(method for method in Method if method.is_sent and method not in services.sends),
        may_set_days=refusal is None,
        may_test=bool(services.sends) and why_not(acting, Action.TEST_DELIVERY) is None,
        who_can=refusal.message if refusal else "",
    )


@require_permission(Action.SEE_PEOPLE)
def preview_mode(acting: Acting, mode: Mode, day: date | None = None) -> ModePreview:
    """Return whom a change of the mode would affect, before anyone confirms it; `day` is the deadline."""
    deadline, now = begins(day) if day else None, acting.tx.now
    after = replace(acting.policy, mode=mode, deadline=deadline, seen_at=NEVER)
    people = _count(acting, after)
    is_change = acting.policy.mode is mode is Mode.REQUIRED
    would_be = replace(acting, policy=after)
    return ModePreview(
        before=acting.policy.mode,
        after=mode,
        ready=people.get(Status.ENABLED, 0),
        pending=people.get(Status.PENDING, 0),
        pending_names=_first_names(would_be, Status.PENDING),
        not_asked=people.get(Status.NO, 0) + people.get(Status.NOT_AVAILABLE, 0),
        released=_released(acting, mode),
        you_must_set_up=None if acting.facts is None else _must_set_up(acting.facts, mode),
        refusal=why_not_deadline(acting, day) if is_change else _mode_refusal(acting, mode, day),
        deadline_before=acting.policy.deadline,
        deadline=deadline,
        days_left=days_until(after, now),
        not_asked_names=_first_names(would_be, Status.NO) if deadline else (),
        puts_off=is_put_off(acting.policy, deadline, now),
    )


def set_mode(
    tx: Tx,
    actor: Actor,
    mode: Mode,
    *,
    seen: Mode,
    confirmation: str = "",
    day: date | None = None,
    reason: str = "",
) -> Done | RefusedOrStale:
    """Change the account's mode; `seen` is the mode that the actor saw when deciding.

    With a `day`, `required` asks for nothing before that day begins in UTC; it needs a `reason` if a deadline
    before it was announced (see `announced`).
    `permanent` needs the account's name as a typed confirmation, and cannot be undone: this is the only
    operation that writes the mode.
    """
    acting = authorise(tx, actor, action_to_enter(mode))
    if not isinstance(acting, Acting):
        return acting
    if acting.policy.mode is not seen:
        return Denied(
            f"Someone else changed the mode to {acting.policy.mode.value} in the meantime. Check it, then "
            "try again."
        )
    if refusal := _mode_refusal(acting, mode, day):
        return Denied(refusal)
    changes = {"mode": mode.value, **deadline_columns(acting, mode, day)}
    if mode is Mode.PERMANENT:
        name = models.Account.get_by_id(acting.account_id).name
        if user_fields.tidy(confirmation) != name:
            return Denied(f"Not confirmed: type the name of the account, {name}.")
        changes |= {"permanent_at": tx.now, "permanent_by": acting.name}
    if seen is Mode.OFF:
        changes["on_since"] = tx.now
    if seen.strictness < Mode.REQUIRED.strictness <= mode.strictness:
        changes["required_since"] = tx.now
    if isinstance(put_off := put_deadline_off(acting, day, reason), Denied):
        return put_off
    models.Account.update(changes).where(models.Account.id == acting.account_id).execute()
    rejudge_sessions(tx, models.User.account == acting.account_id)
    entered = replace(acting.policy, mode=mode, deadline=begins(day) if day else None, seen_at=NEVER)
    after = mode_in_words(entered, tx.now)
    trail.record(acting, Event.MODE_CHANGED, before=mode_in_words(acting.policy, tx.now), after=after)
    return Done(f"The mode is now {after}.")


@require_permission(SensitiveAction.SET_POLICY)
def set_remember_days(acting: Acting, days: int, *, seen: int) -> Done | Denied:
    """Change for how many days an address is remembered; `seen` is the number that the actor saw.

    Fewer days shorten what is already remembered, 0 forgets it; more days do not lengthen it.
    """
    if not 0 <= days <= MAX_DAYS:
        return Denied(f"Addresses are remembered for 0 to {MAX_DAYS} days.")
    before = acting.policy.remember_days
    if before != seen:
        return Denied(f"Someone else changed the days to {before} in the meantime. Check it, then try again.")
    if before == days:
        return Denied(f"The number of days is already {days}.")
    models.Account.update(remember_days=days).where(models.Account.id == acting.account_id).execute()
    shorten(acting.account_id, days)
    rejudge_sessions(acting.tx, models.User.account == acting.account_id)
    trail.record(acting, Event.REMEMBER_DAYS_CHANGED, before=before, after=days)
    return Done(f"From now on: {period_in_words(days)}.")


@require_permission(Action.SEE_PEOPLE)
def preview_methods(acting: Acting, methods: frozenset[Method]) -> MethodsPreview:
    """Return whom a change of the methods would leave without one, before anyone confirms it."""
    table = models.User
    left = table.select(table.name).where(
        (table.account == acting.account_id)
        & table.active
        & has_factor(acting.policy.methods)
        & ~has_factor(methods)
    )
    mine = acting.user
    return MethodsPreview(
        before=acting.policy.methods,
        after=methods,
        without=left.count(),
        without_names=tuple(row.name for row in left.order_by(table.name).limit(NAMED_PEOPLE)),
        you_are_left=mine is not None and left.where(table.id == mine.id).exists(),
        certificates=count_live(acting.tx, models.Certificate.user.in_(_left_without(acting, methods))),
        refusal=_methods_refusal(acting, methods),
    )


@require_permission(SensitiveAction.SET_POLICY)
def set_methods(acting: Acting, methods: frozenset[Method], *, seen: frozenset[Method]) -> Done | Denied:
    """Turn methods on and off; `seen` are those that were on when the actor decided.

    A user who is left without a usable method must set one up again, and never falls back to the first
    factor alone; what they had set up works again when its method is turned back on.
    """
    if acting.policy.methods != seen:
        return Denied("Someone else changed the methods in the meantime. Check them, then try again.")
    if refusal := _methods_refusal(acting, methods):
        return Denied(refusal)
    models.Account.update(
        app_on=Method.APP in methods, sms_on=Method.SMS in methods, email_on=Method.EMAIL in methods
    ).where(models.Account.id == acting.account_id).execute()
    table = models.User
    ours = table.account == acting.account_id
    table.update(lost_factor=True).where(
        ours & has_factor(frozenset(Method)) & ~has_factor(methods)
    ).execute()
    table.update(lost_factor=False).where(ours & has_factor(methods)).execute()
    refresh_standing(ours, acting.tx.now)
    rejudge_sessions(acting.tx, ours)
    trail.record(acting, Event.METHODS_CHANGED, before=_listed(seen), after=_listed(methods))
    because, left = "the users' methods were turned off", _left_without(acting, methods)
    withdrawn = withdraw_where(acting, because, models.Certificate.user.in_(left))
    return Done(f"The methods are now: {_listed(methods)}.{withdrawn}")


@require_permission(SensitiveAction.SET_POLICY)
def set_notice(acting: Acting, notice: PolicyNotice, *, on: bool) -> Done | Denied:
    """Turn an account's messages of a kind on or off."""
    after = "on" if on else "off"
    if (notice in acting.policy.notices) is on:
        return Denied(f"E-mail about {notice.label} is already {after}.")
    column = _COLUMNS[notice]
    models.Account.update({column: on}).where(models.Account.id == acting.account_id).execute()
    trail.record(acting, Event.NOTICES_CHANGED, what=notice.label, after=after)
    return Done(f"E-mail about {notice.label} is now {after}.")


def _listed(methods: frozenset[Method]) -> str:
    return ", ".join(method.label for method in Method if method in methods) or "none"


def _left_without(acting: Acting, methods: frozenset[Method]) -> Any:
    """Return, as SQL, the IDs of the account's users who have set up none of these methods."""
    table = models.User
    return table.select(table.id).where((table.account == acting.account_id) & ~has_factor(methods))


def _methods_refusal(acting: Acting, methods: frozenset[Method]) -> str | None:
    """Return why this actor cannot turn these methods on, or None."""
    if refusal := why_not(acting, SensitiveAction.SET_POLICY):
        return refusal.message
    if methods == acting.policy.methods:
        return "Those methods are already on."
    if not methods:
        return "At least one method must stay on. To stop asking for codes, change the mode to off."
    for method in sorted(methods - acting.policy.methods):
        if method.is_sent and method not in acting.tx.services.sends:
            section = "[sms]" if method is Method.SMS else "[smtp]"
            return (
                f"Nothing is set up to send codes by {method.label}. The operator must set {section} in "
                "twofold.toml, then restart the server."
            )
    return None


def _mode_refusal(acting: Acting, mode: Mode, day: date | None = None) -> str | None:
    """Return why this actor cannot change to this mode now, or None."""
    if refusal := _out_of_reach(acting, mode):
        return refusal
    if day is not None and mode is not Mode.REQUIRED:
        return "Only the mode required can have a deadline. Leave the date out."
    if mode is Mode.PERMANENT:
        return _permanent_refusal(acting)
    return why_not_day(day, acting.tx.now) if day else None


def _out_of_reach(acting: Acting, mode: Mode) -> str | None:
    """Return why this actor cannot change to this mode, whatever the checklist says, or None."""
    if refusal := why_not(acting, action_to_enter(mode)):
        return refusal.message
    if acting.policy.mode is mode:
        return f"The mode is already {mode.value}."
    if acting.policy.mode is Mode.PERMANENT:
        return "The mode is permanent and cannot be changed again."
    if not may_enter_mode(acting.policy.mode, mode):
        return "The mode must be required before it can become permanent. Change it to required first."
    if mode is Mode.REQUIRED and acting.facts is not None and not acting.facts.enrolled:
        return "Set up two-factor authentication for yourself first; then you can require it for everyone."
    return None


def _permanent_refusal(acting: Acting) -> str | None:
    """Return why the mode cannot be made permanent now, or None."""
    items = items_of(acting.account_id, acting.tx.now)
    if passes(items):
        return None
    return f"Not yet. {next(item.sentence for item in items if not item.met)}."


def _count(acting: Acting, policy: Policy) -> dict[Status, int]:
    """Count active users by the status they have, or would have, under a policy."""
    people: Counter[Status] = Counter()
    demand = demand_of(policy, acting.tx.now)
    users = count_users(acting.account_id, demand).users
    for status in Status:
        people[status] = users.shown_as(demand, status)
    del people[Status.DEACTIVATED]
    return +people


def _must_set_up(mine: UserFacts, mode: Mode) -> bool:
    asked = mode in (Mode.REQUIRED, Mode.PERMANENT) or (mode is not Mode.OFF and mine.must_use_two_factor)
    return asked and not mine.enrolled


def _released(acting: Acting, mode: Mode) -> People:
    """Return the names of users who are asked for a code now and would not be with the mode off."""
    if mode is not Mode.OFF or acting.policy.mode is Mode.OFF:
        return People(0, ())
    table = models.User
    active = table.select().where((table.account == acting.account_id) & table.active)
    return people_in(active.where(has_factor(acting.policy.methods)))


def _first_names(acting: Acting, status: Status) -> tuple[str, ...]:
    """Return the names of the first users who have a status."""
    found = find_users(acting, UserQuery(status=status, limit=NAMED_PEOPLE))
    table = models.User
    return tuple(row.name for row in table.select().where(table.id.in_(found.ids)).order_by(table.name))
