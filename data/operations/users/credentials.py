"""Passwords, SSH keys and fresh proof: a user's own, and what administrators set for others."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from data.operations.actors import ActingUser, Actor, factor_among, usable_factors
from data.operations.audit import notice_outbox, trail
from data.operations.audit.wrong_codes import locked_in_words
from data.operations.certificates.withdrawal import WithdrawalPreview, count_live, withdraw_by
from data.operations.guards import require_fresh_proof, require_user, which_proof
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done, FreshProofNeeded, Refused, RefusedOrStale, SessionOver
from data.operations.signin import sent_codes
from data.operations.signin.attempts import AskedAgain, judge_answer
from data.operations.signin.code_verification import LockedNow, Right
from data.operations.signin.first_factor import (
    FirstFactorRejected,
    NotJudged,
    find_candidate,
    prove_fresh_password,
)
from data.operations.signin.remembered_addresses import forget
from data.operations.signin.sent_codes import CodeToSend, NotSent
from data.operations.signin.sessions import end_other_sessions, mark_code_given
from data.operations.signin.temporary_codes import is_temporary_code
from data.operations.users.lifecycle import add_key_row
from data.operations.users.target_user import ActContext, Target
from data.operations.users.user_acts import find_target, require_target, why_not_to
from data.rules import passwords, public_keys
from data.rules.audit_events import Event
from data.rules.domain_types import FirstFactor, Method
from data.rules.permissions import Action, UserAct
from data.rules.policy import MustChangePassword, asks_code
from data.rules.remembered_addresses import password_credential
from data.rules.sent_codes import Purpose
from data.rules.source_addresses import Origin
from data.rules.user_fields import storable
from data.storage import models
from data.store import Store, Tx

NEW_PASSWORD = "the password was replaced"  # noqa: S105 - a reason, not a password.
"""Why certificates are withdrawn, for the audit log."""
_CODE_IS_ASKED = "You must enter a fresh code, not your password."
_ONLY_SIGNS_IN = (
    "A one-time password is only for signing in. Sign out, sign in with it and choose a password."
)
_ONLY_REPLACES = (
    "A temporary code only signs you in and replaces the phone. It was not used. Enter a code of your own."
)


@dataclass(frozen=True, slots=True)
class OneTimePassword:
    """A one-time password, to be shown once to the administrator who asked for it."""

    password: str = field(repr=False)
    message: str


@dataclass(frozen=True, slots=True)
class ProofToGive:
    """The fresh proof that someone can give, though nothing needs it now."""

    proof: FreshProofNeeded


@dataclass(frozen=True, slots=True)
class PasswordContext:
    """What a new password is judged against, and how many live certificates it withdraws."""

    about: tuple[str, ...]
    present_hash: str | None = field(repr=False)
    certificates: int


async def change_password(store: Store, actor: Actor, password: str) -> Done | RefusedOrStale:
    """Replace the actor's own password, or the one-time password they signed in with."""
    changing = one_at_a_time(store, actor, Work.PASSWORD, lambda: _change_password(store, actor, password))
    return await store.finish(changing)


async def _change_password(store: Store, actor: Actor, password: str) -> Done | RefusedOrStale:
    context = await store.read(password_context, actor)
    if not isinstance(context, PasswordContext):
        return context
    if fault := await store.calculate(passwords.fault, password, about=context.about):
        return Denied(fault)
    present = context.present_hash
    if present is not None and await store.compute(store.services.hasher.verify, present, password):
        return Denied("That is your current password. Choose a new one.")
    hashed = await store.compute(store.services.hasher.hash, password)
    return await store.run(store_password, actor, hashed)


@require_user(restricted=(MustChangePassword,))
def password_context(me: ActingUser) -> PasswordContext | Denied | FreshProofNeeded:
    """Read what a new password is judged against, and whether the actor may set one now."""
    if not me.session.restricted and (refusal := require_fresh_proof(me)):
        return refusal
    about = (me.user.name, me.user.email, me.user.full_name, me.user.account.name)
    certificates = count_live(me.tx, models.Certificate.user == me.user.id)
    return PasswordContext(about, me.user.password_hash, certificates)


@require_user(restricted=(MustChangePassword,))
def store_password(me: ActingUser, password_hash: str) -> Done | Denied | FreshProofNeeded:
    """Store a judged and hashed password; sign-ins begun with the old one are no longer admitted."""
    if not me.session.restricted and (refusal := require_fresh_proof(me)):
        return refusal
    credential = set_password(me.user, password_hash, None, mailed_at=me.user.password_mailed_at)
    if me.session.first_factor == FirstFactor.PASSWORD.value:
        models.Session.update(credential=password_credential(credential)).where(
            models.Session.id == me.session.id
        ).execute()
    end_other_sessions(me, me.user.id, "You changed your password. Sign in again.")
    trail.record(me, Event.PASSWORD_CHANGED, me.user.name)
    return Done(f"Password changed.{withdraw_by(me, me.user, NEW_PASSWORD)}")


async def give_one_time_password(store: Store, actor: Actor, name: str) -> OneTimePassword | RefusedOrStale:
    """Set a random one-time password for a user; their old password stops working."""
    giving = one_at_a_time(store, actor, Work.PASSWORD, lambda: _give_one_time_password(store, actor, name))
    return await store.finish(giving)


async def _give_one_time_password(store: Store, actor: Actor, name: str) -> OneTimePassword | RefusedOrStale:
    password = passwords.one_time_from_random(store.services.random_bytes(20))
    hashed = await store.compute(store.services.hasher.hash, password)
    result = await store.run(set_one_time_password, actor, name, hashed)
    return OneTimePassword(password, result.message) if isinstance(result, Done) else result


@require_target(UserAct.ONE_TIME_PASSWORD)
def set_one_time_password(found: Target, password_hash: str, hours: int = passwords.ONE_TIME_HOURS) -> Done:
    """Store a hashed one-time password for a user, good for this many hours."""
    until = passwords.one_time_end(found.tx.now, hours)
    set_password(found.user, password_hash, until)
    notice_outbox.take_back_invitations(found.tx, found.user.id)
    end_other_sessions(found.acting, found.user.id, "An administrator reset your password. Sign in again.")
    terms = passwords.one_time_terms(until)
    trail.record(found.acting, Event.ONE_TIME_PASSWORD_SET, found.user.name, terms=terms)
    withdrawn = withdraw_by(found.acting, found.user, NEW_PASSWORD)
    return Done(f"{found.user.name} has a one-time password. {terms}{withdrawn}")


def add_key(tx: Tx, actor: Actor, pasted: str, *, name: str | None = None) -> Done | RefusedOrStale:
    """Add a pasted public key to the actor, or to the user called `name`."""
    owner = _key_owner(tx, actor, name, UserAct.ADD_KEY)
    if not isinstance(owner, Target):
        return owner
    key = public_keys.parse(pasted)
    if isinstance(key, public_keys.KeyFault):
        return Denied(key.value)
    table = models.PublicKey
    if table.select().where((table.user == owner.user.id) & (table.fingerprint == key.fingerprint)).exists():
        return Denied("That key was already added.")
    if refusal := why_no_key_more(owner.holdings.keys):
        return refusal
    add_key_row(owner.acting, owner.user.id, owner.user.name, key)
    return Done(f"Key {key.fingerprint} added.")


def preview_key_removal(
    tx: Tx, actor: Actor, fingerprint: str, *, name: str | None = None
) -> WithdrawalPreview | Refused:
    """Return how many certificates go with a key of the actor, or of the user called `name`."""
    if name is None:
        return _preview_own_key(tx, actor, fingerprint)
    return _preview_key_of(tx, actor, name, fingerprint)


@require_user()
def _preview_own_key(me: ActingUser, fingerprint: str) -> WithdrawalPreview:
    return _preview_key(me.tx, me.user, fingerprint)


@require_target(Action.SEE_PEOPLE)
def _preview_key_of(found: Target, fingerprint: str) -> WithdrawalPreview | Denied:
    refusal = why_not_to(UserAct.REMOVE_KEY, found)
    return refusal or _preview_key(found.tx, found.user, fingerprint)


def _preview_key(tx: Tx, user: models.User, fingerprint: str) -> WithdrawalPreview:
    which = (models.Certificate.user == user.id) & _rests_on(storable(fingerprint))
    return WithdrawalPreview(count_live(tx, which))


def remove_key(tx: Tx, actor: Actor, fingerprint: str, *, name: str | None = None) -> Done | RefusedOrStale:
    """Remove a key of the actor, or of the user called `name`."""
    owner = _key_owner(tx, actor, name, UserAct.REMOVE_KEY)
    if not isinstance(owner, Target):
        return owner
    table = models.PublicKey
    fingerprint = storable(fingerprint)
    mine = table.user == owner.user.id
    if not table.select().where(mine & (table.fingerprint == fingerprint)).exists():
        return Denied("The key was not found. List the keys to see their fingerprints.")
    has_password = owner.user.password_hash is not None
    if name is None and (refusal := why_no_key_less(owner.holdings.keys, has_password=has_password)):
        return refusal
    table.delete().where(mine & (table.fingerprint == fingerprint)).execute()
    forget(owner.user.id, credential=fingerprint)
    because = "One of your SSH keys was removed. Sign in again."
    end_other_sessions(owner.acting, owner.user.id, because)
    trail.record(owner.acting, Event.KEY_REMOVED, owner.user.name, fingerprint=fingerprint)
    withdrawn = withdraw_by(
        owner.acting, owner.user, f"the key {fingerprint} was removed", _rests_on(fingerprint)
    )
    return Done(f"Key {fingerprint} removed.{withdrawn}")


def _rests_on(fingerprint: str) -> Any:
    """Return, as SQL, whether a certificate is for a key, or was obtained in a session that it opened."""
    table, session = models.Certificate, models.Session
    by_key = (session.user == table.user) & (session.credential == fingerprint)
    return (table.fingerprint == fingerprint) | table.session.in_(session.select(session.id).where(by_key))


@require_user()
def proof_to_give(me: ActingUser) -> ProofToGive | Denied:
    """Read which fresh proof the actor can give now, whether or not one was given recently."""
    proof = which_proof(me, code=me.facts.can_prove)
    return ProofToGive(proof) if isinstance(proof, FreshProofNeeded) else proof


@require_user()
def confirm_fresh_code(
    me: ActingUser, answer: str, *, replaces_phone: bool = False
) -> Done | AskedAgain | Refused:
    """Judge a fresh code from a signed-in user; it counts like any other attempt.

    A temporary code is taken only to replace the phone; elsewhere it is refused and stays good.
    """
    if not me.facts.can_prove:
        return Denied("Two-factor authentication is not set up, so there is no code to enter.")
    if not replaces_phone and is_temporary_code(me.tx, me.user.id, answer):
        return Denied(_ONLY_REPLACES)
    app = factor_among(usable_factors(me.user.id, me.policy), Method.APP)
    verdict = judge_answer(me.tx, me.user, app, answer, me.origin, may_resync=False)
    if isinstance(verdict, LockedNow):
        return SessionOver(locked_in_words(me.user))
    if not isinstance(verdict, Right):
        return verdict
    mark_code_given(me, temporary=verdict.is_temporary)
    trail.record(me, Event.CODE_FRESH, me.user.name, method=verdict.method)
    return Done("Confirmed.")


@require_user()
def send_fresh_code(me: ActingUser, method: Method) -> CodeToSend | NotSent:
    """Create a code to send to a signed-in user who must give fresh proof."""
    factor = factor_among(usable_factors(me.user.id, me.policy), method)
    if factor is None or factor.destination is None:
        return NotSent(f"Codes cannot be sent to you by {method.label}.")
    return sent_codes.make_code(me.tx, me.user, method, factor.destination, Purpose.PROOF, me.origin)


async def confirm_fresh_password(store: Store, actor: Actor, password: str) -> Done | Refused:
    """Judge the password of a user without two-factor authentication; failures slow down the source."""
    return await one_at_a_time(
        store, actor, Work.PASSWORD, lambda: _confirm_fresh_password(store, actor, password)
    )


async def _confirm_fresh_password(store: Store, actor: Actor, password: str) -> Done | Refused:
    asked = await store.read(_name_and_origin, actor)
    if not isinstance(asked, tuple):
        return asked
    candidate = await store.read(find_candidate, *asked)
    match await prove_fresh_password(store, candidate, password):
        case FirstFactorRejected():
            return Denied("Wrong password.")
        case NotJudged() as not_judged:
            return Denied(not_judged.message)
    return await store.run(_mark_fresh_by_password, actor, candidate.credential)


@require_user()
def _name_and_origin(me: ActingUser) -> tuple[str, Origin] | Denied:
    if asks_code(me.policy, me.facts):
        return Denied(_CODE_IS_ASKED)
    if me.facts.one_time_password:
        return Denied(_ONLY_SIGNS_IN)
    return me.user.name, me.origin


@require_user()
def _mark_fresh_by_password(me: ActingUser, credential: int) -> Done | Denied:
    if asks_code(me.policy, me.facts):
        return Denied(_CODE_IS_ASKED)
    if me.user.credential != credential:
        return Denied("Your password was changed in the meantime.")
    models.Session.update(fresh_at=me.tx.now).where(models.Session.id == me.session.id).execute()
    trail.record(me, Event.CODE_FRESH, me.user.name, method="password")
    return Done("Confirmed.")


def set_password(
    user: models.User,
    password_hash: str,
    one_time_until: datetime | None,
    *,
    mailed_at: datetime | None = None,
) -> int:
    """Store a password in place of the previous one; return its credential number.

    `one_time_until` is when a one-time password expires, and `mailed_at` when it was sent by e-mail, if
    it was.
    """
    credential = user.credential + 1
    models.User.update(
        password_hash=password_hash,
        one_time_until=one_time_until,
        password_mailed_at=mailed_at,
        credential=credential,
    ).where(models.User.id == user.id).execute()
    forget(user.id)
    return credential


def why_no_key_more(held: int) -> Denied | None:
    """Return why someone who has this many keys cannot have another one, or None."""
    reason = public_keys.too_many(held)
    return Denied(reason) if reason else None


def why_no_key_less(held: int, *, has_password: bool) -> Denied | None:
    """Return why users who have this many keys cannot remove one of their own, or None."""
    if not held:
        return Denied("You have no SSH key.")
    if held > 1 or has_password:
        return None
    return Denied("That is your only way to sign in. Add another key or set a password first.")


def _key_owner(tx: Tx, actor: Actor, name: str | None, act: UserAct) -> Target | RefusedOrStale:
    if name is not None:
        return find_target(tx, actor, name, act)
    return _myself(tx, actor)


@require_user()
def _myself(me: ActingUser) -> Target | Denied | FreshProofNeeded:
    return require_fresh_proof(me) or Target(me, me.user, me.facts.roles, ActContext(me))
