"""Enrolling an authenticator app, recovery codes, and turning two-factor authentication off."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from data.operations import audit
from data.operations.actors import ActingUser, Actor, app_factor_of, own, stale
from data.operations.remembered import forget
from data.operations.results import Denied, Done, Refused, RefusedOrStale
from data.rules import recovery, totp
from data.rules.events import Event
from data.rules.facts import Mode
from data.rules.policy import ATTEMPTS, MustEnrol, NeedCode, SignedIn, may_set_up, may_turn_off
from data.storage import models
from data.store import Tx

WIZARD_LIFE = timedelta(minutes=30)
"""How long a secret that was shown can still be confirmed."""

NOT_AVAILABLE = "Two-factor authentication is not available: a security administrator can turn it on."


_WIZARD_STEPS = (MustEnrol, NeedCode, SignedIn)
"""Steps at which a restricted session may still be in the wizard: the policy or another session can
have changed what is asked since it was opened."""


@dataclass(frozen=True, slots=True)
class PendingApp:
    """A secret that was shown and is not active. It lives in the wizard and nowhere else."""

    session_id: int
    begun_at: datetime
    replaces: int | None
    account: str
    because: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)

    @property
    def manual_key(self) -> str:
        """The secret in groups of four, for typing by hand."""
        return totp.grouped(self.secret)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The app is active. `recovery_codes` is empty when an app was replaced: the old codes stay good."""

    recovery_codes: tuple[str, ...] = field(repr=False)
    next_code_in_seconds: int
    message: str


@dataclass(frozen=True, slots=True)
class EnrolmentCodeWrong:
    """The code does not belong to the secret.

    `clock_offset_seconds` is set when it would, were the phone's clock right; positive is ahead.
    """

    clock_offset_seconds: int | None


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """Codes to be shown once."""

    recovery_codes: tuple[str, ...] = field(repr=False)


def begin_app(tx: Tx, actor: Actor) -> PendingApp | RefusedOrStale:
    """Make a secret to show; nothing is stored until it is confirmed with a code."""
    me = own(tx, actor, restricted=_WIZARD_STEPS)
    if not isinstance(me, ActingUser):
        return me
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    present = app_factor_of(me.user.id)
    if me.session.restricted and present is not None:
        return Denied("Two-factor authentication is set up already. Sign in again.")
    if not me.session.restricted and (refusal := stale(tx, me.acting)):
        return refusal
    secret = totp.encode_secret(tx.services.random_bytes(totp.SECRET_BYTES))
    return PendingApp(
        session_id=me.session.id,
        begun_at=tx.now,
        replaces=_identity(present),
        account=me.user.account.name,
        because=_because(me),
        secret=secret,
        uri=totp.provisioning_uri(secret, username=me.user.name, issuer=tx.services.issuer),
    )


def confirm_app(
    tx: Tx, actor: Actor, pending: PendingApp, code: str
) -> Enrolled | EnrolmentCodeWrong | Refused:
    """Activate a shown secret by one right code; the step of that code is spent with it.

    A wizard that was open while another one was confirmed ends here: what it would replace is gone.
    """
    me = own(tx, actor, restricted=_WIZARD_STEPS)
    if not isinstance(me, ActingUser):
        return me
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    present = app_factor_of(me.user.id)
    barred = me.session.restricted and present is not None
    if barred or pending.session_id != me.session.id or pending.replaces != _identity(present):
        return Denied("Another set-up was finished meanwhile, so this one ended. Nothing was changed.")
    if not timedelta(0) <= tx.now - pending.begun_at <= WIZARD_LIFE:
        return Denied("This set-up took too long and ended. Start again for a new QR code.")
    digits = "".join(code.split())
    match = totp.match_step(pending.secret, digits, at=tx.now, after=-1)
    if not isinstance(match, totp.Matched):
        return EnrolmentCodeWrong(totp.clock_offset(pending.secret, digits, at=tx.now))
    _store_factor(tx, me.user.id, pending.secret, match.step)
    issued = () if present else _issue_recovery_codes(tx, me.user.id)
    table = models.Session
    table.update(fresh_at=None).where(table.user == me.user.id).execute()
    table.update(fresh_at=tx.now, code_proven=True).where(table.id == me.session.id).execute()
    audit.record(tx, me.acting, Event.REPLACED if present else Event.ENROLLED, me.user.name)
    return Enrolled(
        recovery_codes=issued,
        next_code_in_seconds=totp.seconds_to_live_step(at=tx.now, after=match.step),
        message="The new phone is set up; the old one no longer works."
        if present
        else "Two-factor authentication is enabled.",
    )


def confirm_saved(tx: Tx, actor: Actor) -> Done | Refused:
    """Record that the recovery codes were saved, so that they are not shown again."""
    me = own(tx, actor, restricted=(SignedIn,))
    if not isinstance(me, ActingUser):
        return me
    if not me.facts.enrolled:
        return Denied("There are no recovery codes to save. Set up two-factor authentication first.")
    models.User.update(recovery_saved=True).where(models.User.id == me.user.id).execute()
    audit.record(tx, me.acting, Event.RECOVERY_SAVED, me.user.name)
    return Done("Recovery codes saved.")


def replace_unsaved_codes(tx: Tx, actor: Actor) -> NewRecoveryCodes | Refused | None:
    """Make new recovery codes at sign-in when the last ones were never confirmed as saved.

    Only for someone who gave a code: a remembered address is no second factor to hand some out for.
    """
    me = own(tx, actor)
    if not isinstance(me, ActingUser):
        return me
    if me.user.recovery_saved or not me.facts.enrolled or me.policy.mode is Mode.OFF:
        return None
    if not me.session.code_proven:
        return None
    return _renew(tx, me)


def renew_recovery_codes(tx: Tx, actor: Actor) -> NewRecoveryCodes | RefusedOrStale:
    """Make five new recovery codes, which kills the old ones."""
    me = own(tx, actor)
    if not isinstance(me, ActingUser):
        return me
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    if not me.facts.enrolled:
        return Denied("Set up two-factor authentication first; recovery codes come with it.")
    return stale(tx, me.acting) or _renew(tx, me)


def turn_off(tx: Tx, actor: Actor) -> Done | RefusedOrStale:
    """Turn the actor's own two-factor authentication off, where the policy leaves that to them."""
    me = own(tx, actor)
    if not isinstance(me, ActingUser):
        return me
    if not me.facts.enrolled:
        return Denied("Two-factor authentication is not set up.")
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    if not may_turn_off(me.policy, me.facts):
        return Denied(
            f"Two-factor authentication is {_because(me)}, so it cannot be turned off. Ask an administrator."
        )
    if refusal := stale(tx, me.acting):
        return refusal
    remove_factors(me.user.id, lost=False)
    audit.record(tx, me.acting, Event.TURNED_OFF, me.user.name)
    return Done("Two-factor authentication is turned off.")


def remove_factors(user_id: int, *, lost: bool) -> None:
    """Remove every factor, recovery code and remembered address of a user.

    Who is not locked has all attempts again.

    `lost` says that the user must enrol anew; it stays so until they did, or until it is disabled.
    """
    removed = models.Factor.delete().where(models.Factor.user == user_id).execute()
    models.RecoveryCode.delete().where(models.RecoveryCode.user == user_id).execute()
    forget(user_id)
    table = models.User
    table.update(recovery_saved=True).where(table.id == user_id).execute()
    if removed or not lost:
        table.update(lost_factor=lost).where(table.id == user_id).execute()
    table.update(attempts_left=ATTEMPTS).where((table.id == user_id) & table.locked_at.is_null()).execute()
    models.Session.update(code_proven=False).where(models.Session.user == user_id).execute()


def _identity(factor: models.Factor | None) -> int | None:
    """Return a number that no other factor has: unlike the row's id, which a database may give again."""
    return None if factor is None else int.from_bytes(sha256(factor.sealed_secret).digest()[:8])


def _because(me: ActingUser) -> str:
    if me.policy.mode in (Mode.REQUIRED, Mode.PERMANENT):
        return f"required by {me.user.account.name}"
    if me.user.lost_factor:
        return "to be set up again: an administrator cleared your data"
    if me.user.required:
        return "required of you by an administrator"
    return "required of administrators" if me.facts.must_use_two_factor else "your choice"


def _store_factor(tx: Tx, user_id: int, secret: str, step: int) -> None:
    models.Factor.delete().where((models.Factor.user == user_id) & (models.Factor.kind == "app")).execute()
    factor_id = models.Factor.insert(
        user=user_id,
        kind="app",
        sealed_secret=b"",
        last_step=step,
        last_offset=step - totp.step_at(tx.now),
        confirmed_at=tx.now,
    ).execute()
    sealed = tx.services.vault.seal(totp.decode_secret(secret), user_id=user_id, factor_id=factor_id)
    models.Factor.update(sealed_secret=sealed).where(models.Factor.id == factor_id).execute()
    models.User.update(lost_factor=False).where(models.User.id == user_id).execute()


def _renew(tx: Tx, me: ActingUser) -> NewRecoveryCodes:
    issued = _issue_recovery_codes(tx, me.user.id)
    audit.record(tx, me.acting, Event.RECOVERY_RENEWED, me.user.name)
    return NewRecoveryCodes(issued)


def _issue_recovery_codes(tx: Tx, user_id: int) -> tuple[str, ...]:
    table = models.RecoveryCode
    table.delete().where(table.user == user_id).execute()
    issued: dict[str, str] = {}
    while len(issued) < recovery.CODES:
        code = recovery.from_random(tx.services.random_bytes(recovery.LENGTH))
        parts = recovery.parse(code)
        if parts is None or parts.selector in issued:
            continue
        issued[parts.selector] = code
        table.insert(
            user=user_id, selector=parts.selector, secret_hash=tx.services.recovery_hasher.hash(parts.secret)
        ).execute()
    models.User.update(recovery_saved=False).where(models.User.id == user_id).execute()
    return tuple(issued.values())
