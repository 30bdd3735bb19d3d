"""Another user's two-factor authentication: requiring, disabling, clearing, unlocking, resync."""

from data.operations.actors import Actor
from data.operations.audit import trail
from data.operations.certificates.withdrawal import withdraw_by
from data.operations.derived_user_columns import refresh_standing_of
from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.signin.enrolment import remove_factors
from data.operations.signin.remembered_addresses import NOTHING_REMEMBERED, forget
from data.operations.signin.resync import OFFER_LASTS
from data.operations.signin.sessions import end_other_sessions, rejudge_sessions_of
from data.operations.users.target_user import Target
from data.operations.users.user_acts import find_target, require_target
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.domain_types import Method, Mode
from data.rules.permissions import UserAct
from data.rules.policy import ATTEMPTS
from data.storage import models
from data.store import Tx

_DATA_CLEARED = "An administrator cleared your two-factor data. Sign in again."
_DISABLED = "An administrator disabled your two-factor authentication. Sign in again."
_RESTS = " Takes effect when 2FA is turned on."


def set_required(tx: Tx, actor: Actor, name: str, *, required: bool) -> Done | RefusedOrStale:
    """Require two-factor authentication of a user, or leave it to the policy again."""
    found = find_target(tx, actor, name, UserAct.REQUIRE if required else UserAct.STOP_REQUIRING)
    if not isinstance(found, Target):
        return found
    user = found.user
    models.User.update(required=required).where(models.User.id == user.id).execute()
    refresh_standing_of(user.id, tx.now)
    rejudge_sessions_of(tx, user.id)
    trail.record(found.acting, Event.REQUIRED if required else Event.NOT_REQUIRED, user.name)
    if not required:
        return Done(f"2FA no longer required for {user.name}.")
    rests = _RESTS if found.acting.policy.mode is Mode.OFF else ""
    return Done(f"2FA required for {user.name}.{rests}")


def disable_two_factor(tx: Tx, actor: Actor, name: str) -> Done | RefusedOrStale:
    """Remove a user's flag, factors and recovery codes."""
    found = find_target(tx, actor, name, UserAct.DISABLE)
    return _remove_two_factor(found, keep_flag=False) if isinstance(found, Target) else found


def clear_two_factor(tx: Tx, actor: Actor, name: str) -> Done | RefusedOrStale:
    """Remove a user's factors and recovery codes but keep the flag, for a new phone.

    A user who had a factor must set one up again, even if it is not required of them.
    """
    found = find_target(tx, actor, name, UserAct.CLEAR)
    return _remove_two_factor(found, keep_flag=True) if isinstance(found, Target) else found


@require_target(UserAct.UNLOCK)
def unlock(found: Target, reason: str) -> Done | Denied:
    """Let a locked user sign in again, with all seven attempts; the audit log keeps the reason."""
    user = found.user
    because = user_fields.tidy(reason)
    if not because:
        return Denied(f"Enter a reason; it is logged. At most {user_fields.TEXT_LIMIT} characters.")
    models.User.update(locked_at=None, attempts_left=ATTEMPTS, wrong_answers="").where(
        models.User.id == user.id
    ).execute()
    refresh_standing_of(user.id, found.tx.now)
    trail.record(found.acting, Event.USER_UNLOCKED, user.name, reason=because)
    return Done(f"User {user.name} unlocked, with {ATTEMPTS} attempts again.")


@require_target(UserAct.FORGET)
def forget_addresses(found: Target, which: int | None = None) -> Done:
    """Forget a user's remembered addresses, or one of them, so that a code is asked for there again."""
    count = forget(found.user.id, which=which)
    if not count:
        return Done(NOTHING_REMEMBERED)
    rejudge_sessions_of(found.tx, found.user.id)
    trail.record(found.acting, Event.ADDRESSES_FORGOTTEN, found.user.name, count=count)
    return Done(f"Forgotten. {found.user.name} will be asked for a code there again.")


@require_target(UserAct.RESYNC)
def offer_resync(found: Target) -> Done:
    """Let a user sign in with two consecutive codes for an hour even though their phone's clock is off."""
    user = found.user
    until = found.tx.now + OFFER_LASTS
    table = models.Factor
    app = (table.user == user.id) & (table.kind == Method.APP.value)
    table.update(resync_until=until, resync_step=None).where(app).execute()
    models.User.update(wrong_answers="").where(models.User.id == user.id).execute()
    trail.record(found.acting, Event.RESYNC_OFFERED, user.name, until=f"{until:%Y-%m-%d %H:%M} UTC")
    locked = f" {user.name} is locked; unlock them too." if user.locked_at else ""
    return Done(f"For an hour, {user.name} can sign in with two consecutive codes.{locked}")


def _remove_two_factor(found: Target, *, keep_flag: bool) -> Done:
    remove_factors(found.tx, found.user.id, lost=keep_flag)
    if not keep_flag:
        models.User.update(required=False).where(models.User.id == found.user.id).execute()
        refresh_standing_of(found.user.id, found.tx.now)
    end_other_sessions(found.acting, found.user.id, _DATA_CLEARED if keep_flag else _DISABLED)
    trail.record(found.acting, Event.CLEARED if keep_flag else Event.DISABLED, found.user.name)
    done = "data cleared" if keep_flag else "authentication disabled"
    withdrawn = withdraw_by(found.acting, found.user, f"two-factor {done}")
    return Done(f"Two-factor {done} for {found.user.name}.{withdrawn}")
