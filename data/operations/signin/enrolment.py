"""Enrolling an app or a sent method, and turning two-factor authentication off."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from data.operations.actors import ActingUser, factor_of
from data.operations.audit import trail
from data.operations.certificates.withdrawal import withdraw_by
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of, reindex_user
from data.operations.guards import require_fresh_proof, require_user
from data.operations.results import Denied, Done, FreshProofNeeded
from data.operations.secret_sealing import seal_factor
from data.operations.signin import sent_codes
from data.operations.signin.attempts import NotACode
from data.operations.signin.code_verification import codes_left
from data.operations.signin.recovery_codes import issue_recovery_codes, too_many_sets
from data.operations.signin.remembered_addresses import forget
from data.operations.signin.sent_codes import CodeToSend, NotSent
from data.operations.signin.sessions import end_other_sessions, mark_code_given, rejudge_sessions_of
from data.operations.signin.temporary_codes import void_temporary_code
from data.rules import code_answers, totp
from data.rules.audit_events import Event
from data.rules.code_answers import Form
from data.rules.domain_types import Method, Mode
from data.rules.invitations import EMAIL_AFTER_ANOTHER
from data.rules.policy import ATTEMPTS, NOT_AVAILABLE, MustEnrol, NeedCode, SignedIn, may_set_up, may_turn_off
from data.rules.sent_codes import Purpose, masked
from data.rules.user_fields import PHONE_RULE, fold_phone
from data.storage import models
from data.store import Tx

WIZARD_LIFE = timedelta(minutes=30)
"""How long a secret that was shown can still be confirmed."""

_SET_UP_ALREADY = "Two-factor authentication is already set up. Sign in again."
_RECOVERY_CODE_FIRST = "You must enter a recovery code or a temporary code first. Sign in again."
WIZARD_STEPS = (MustEnrol, NeedCode, SignedIn)
"""Steps at which a restricted session may still be in the wizard: the policy or another session can have
changed what is required since it was opened."""


@dataclass(frozen=True, slots=True)
class PendingApp:
    """A secret that was shown and is not active. It exists only in the wizard."""

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
class PendingDestination:
    """An address or number that a code must prove. It exists only in the wizard."""

    session_id: int
    begun_at: datetime
    replaces: int | None
    method: Method
    because: str
    destination: str = field(repr=False)
    shared: bool = False
    """Whether another user has this number too."""

    @property
    def masked(self) -> str:
        """The destination in a form that its owner recognises."""
        return masked(self.method, self.destination)


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A code that the user must send to `number` by text message. It exists only in the wizard.

    Only its keyed hash is stored, so that another process can find out who sent a message.
    """

    session_id: int
    begun_at: datetime
    replaces: int | None
    number: str
    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WizardChoice:
    """The methods that can be set up now, and those that the user already has.

    `sms_number` is where a message can be sent instead of typing one's number; None if that is not set up.
    """

    because: str
    methods: tuple[Method, ...]
    present: tuple[Method, ...]
    sms_number: str | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The factor is active.

    `recovery_codes` is empty if the user has some that stay good: a second method brings none.
    `next_code_in_seconds` is set for an app.
    """

    recovery_codes: tuple[str, ...] = field(repr=False)
    next_code_in_seconds: int | None
    message: str


@dataclass(frozen=True, slots=True)
class EnrolmentCodeWrong:
    """The code does not match the secret.

    `clock_offset_seconds` is set if it would match with the phone's clock set right; positive is ahead.
    """

    clock_offset_seconds: int | None


@require_user(restricted=WIZARD_STEPS)
def wizard_choice(me: ActingUser) -> WizardChoice | Denied:
    """Read which methods the wizard can offer; e-mail is offered to the address on the profile."""
    if refusal := why_not_set_up(me):
        return refusal
    return WizardChoice(_because(me), _offered(me), me.facts.methods, me.tx.services.sms_number)


def why_not_set_up(me: ActingUser) -> Denied | None:
    """Return why someone cannot set up any method now, or None."""
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    return barred(me) or (None if _offered(me) else Denied(EMAIL_AFTER_ANOTHER))


def _offered(me: ActingUser) -> tuple[Method, ...]:
    """Return the methods that someone can set up, in their order."""
    offered = me.policy.methods - ({Method.EMAIL} if _password_came_by_email(me) else set())
    return tuple(method for method in Method if method in offered)


@require_user(restricted=WIZARD_STEPS)
def begin_app(me: ActingUser) -> PendingApp | FreshProofNeeded | Denied:
    """Create a secret to show; nothing is stored until it is confirmed with a code."""
    if refusal := why_not_begin(me, Method.APP):
        return refusal
    secret = totp.encode_secret(me.tx.services.random_bytes(totp.SECRET_BYTES))
    return PendingApp(
        session_id=me.session.id,
        begun_at=me.tx.now,
        replaces=identity(me.user.id, Method.APP),
        account=me.user.account.name,
        because=_because(me),
        secret=secret,
        uri=totp.provisioning_uri(secret, username=me.user.name, issuer=me.tx.services.issuer),
    )


@require_user(restricted=WIZARD_STEPS)
def confirm_app(
    me: ActingUser, pending: PendingApp, code: str
) -> Enrolled | EnrolmentCodeWrong | NotACode | Denied:
    """Activate a shown secret with one right code, which spends the step of that code.

    A wizard that was open while another one was confirmed ends here: what it would replace is gone.
    """
    if refusal := why_not_go_on(me, Method.APP, pending):
        return refusal
    tx = me.tx
    answer = code_answers.read(code)
    if answer is None or answer.form is not Form.CODE:
        return NotACode()
    present = factor_of(me.user.id, Method.APP)
    match = totp.match_step(pending.secret, answer.text, at=tx.now, after=-1)
    if not isinstance(match, totp.Matched):
        return EnrolmentCodeWrong(totp.clock_offset(pending.secret, answer.text, at=tx.now))
    _store_app(tx, me.user.id, pending.secret, match.step)
    return Enrolled(
        recovery_codes=_complete(me, Method.APP, replaced=present is not None),
        next_code_in_seconds=totp.seconds_to_live_step(at=tx.now, after=match.step),
        message="The new phone is set up; the old one no longer works."
        if present
        else "Two-factor authentication is enabled.",
    )


@require_user(restricted=WIZARD_STEPS)
def begin_email(me: ActingUser) -> PendingDestination | FreshProofNeeded | Denied:
    """Begin to prove the address on the profile; `send_enrolment_code` sends the codes for it."""
    return why_not_begin(me, Method.EMAIL) or _pending(me, Method.EMAIL, me.user.email)


@require_user(restricted=WIZARD_STEPS)
def begin_sms(me: ActingUser, number: str) -> PendingDestination | FreshProofNeeded | Denied:
    """Begin to prove a phone number that the user typed."""
    if refusal := why_not_begin(me, Method.SMS):
        return refusal
    folded = fold_phone(number)
    if folded is None:
        return Denied(PHONE_RULE)
    return replace(_pending(me, Method.SMS, folded), shared=is_shared(me, folded))


@require_user(restricted=WIZARD_STEPS)
def send_enrolment_code(me: ActingUser, pending: PendingDestination) -> CodeToSend | NotSent | Denied:
    """Create a code to send to the destination that is being set up."""
    if refusal := why_not_go_on(me, pending.method, pending):
        return refusal
    return sent_codes.make_code(me.tx, me.user, pending.method, pending.destination, Purpose.ENROL, me.origin)


@require_user(restricted=WIZARD_STEPS)
def confirm_sent(
    me: ActingUser, pending: PendingDestination, code: str
) -> Enrolled | EnrolmentCodeWrong | NotACode | Denied:
    """Activate a destination with a code that was sent there."""
    if refusal := why_not_go_on(me, pending.method, pending):
        return refusal
    answer = code_answers.read(code)
    if answer is None or answer.form is not Form.CODE:
        return NotACode()
    if not sent_codes.prove_destination(me.tx, me.user.id, pending.method, pending.destination, answer.text):
        return EnrolmentCodeWrong(None)
    return activate(me, pending.method, pending.destination)


@require_user()
def turn_off(me: ActingUser) -> Done | Denied | FreshProofNeeded:
    """Turn off the actor's own two-factor authentication, if the policy allows it."""
    if refusal := why_not_turn_off(me) or require_fresh_proof(me):
        return refusal
    remove_factors(me.tx, me.user.id, lost=False)
    end_other_sessions(me, me.user.id, "You turned two-factor authentication off. Sign in again.")
    trail.record(me, Event.TURNED_OFF, me.user.name)
    withdrawn = withdraw_by(me, me.user, "two-factor authentication was turned off")
    return Done(f"Two-factor authentication is turned off.{withdrawn}")


def why_not_turn_off(me: ActingUser) -> Denied | None:
    """Return why someone cannot turn off their own two-factor authentication, or None."""
    if not me.facts.enrolled:
        return Denied("Two-factor authentication is not set up.")
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    if may_turn_off(me.policy, me.facts):
        return None
    return Denied(
        f"Two-factor authentication is {_because(me)}, so it cannot be turned off. Ask an administrator."
    )


def remove_factors(tx: Tx, user_id: int, *, lost: bool) -> None:
    """Remove every factor, recovery code, temporary code and remembered address of a user.

    A user who is not locked gets all attempts back.

    `lost` says that the user must enrol again; this stays true until they do, or until it is disabled.
    """
    removed = models.Factor.delete().where(models.Factor.user == user_id).execute()
    models.RecoveryCode.delete().where(models.RecoveryCode.user == user_id).execute()
    forget(user_id)
    table = models.User
    table.update(recovery_saved=True).where(table.id == user_id).execute()
    models.SentCode.update(void=True).where(models.SentCode.user == user_id).execute()
    if removed or not lost:
        table.update(lost_factor=lost).where(table.id == user_id).execute()
        refresh_standing_of(user_id, tx.now)
    refresh_few_codes(user_id)
    table.update(attempts_left=ATTEMPTS).where((table.id == user_id) & table.locked_at.is_null()).execute()
    models.Session.update(code_at=None).where(models.Session.user == user_id).execute()


def is_shared(me: ActingUser, number: str) -> bool:
    """Whether another user of the account has this number too."""
    table = models.User
    same = (table.account == me.user.account_id) & (table.phone == number) & (table.id != me.user.id)
    return table.select().where(same).exists()


def identity(user_id: int, method: Method) -> int | None:
    """Return a number that no other factor ever has, unlike the row's ID, which a database may reuse."""
    factor = factor_of(user_id, method)
    if factor is None:
        return None
    at = models.microseconds(factor.confirmed_at)
    known = factor.sealed_secret + f"{factor.destination}:{at}".encode()
    return int.from_bytes(sha256(known).digest()[:8])


def why_not_begin(me: ActingUser, method: Method) -> FreshProofNeeded | Denied | None:
    """Return why someone may not begin to set up a method; None if they may.

    A restricted session never replaces or adds to a factor that exists.
    """
    if refusal := _not_offered(me, method):
        return refusal
    if me.session.restricted:
        return barred(me)
    replaces_phone = method.is_on_phone and factor_of(me.user.id, method) is not None
    return require_fresh_proof(me, replaces_phone=replaces_phone)


def why_not_go_on(
    me: ActingUser, method: Method, pending: PendingApp | PendingDestination | PendingMessage
) -> Denied | None:
    """Return why someone may not go on in the wizard where `pending` began; None if they may."""
    if refusal := _not_offered(me, method):
        return refusal
    present = identity(me.user.id, method)
    if barred(me) or pending.session_id != me.session.id or pending.replaces != present:
        return Denied(
            "Another setup was finished in the meantime, so this one was cancelled. Nothing was changed."
        )
    to = pending.destination if isinstance(pending, PendingDestination) else None
    if method is Method.EMAIL and to != me.user.email:
        return Denied("Your e-mail address was changed in the meantime. Start again.")
    if not timedelta(0) <= me.tx.now - pending.begun_at <= WIZARD_LIFE:
        return Denied("This setup took too long and was cancelled. Start again.")
    return None


def barred(me: ActingUser) -> Denied | None:
    """Return why a restricted session may set nothing up: a factor exists, or a code must be given first."""
    if me.session.restricted and me.facts.enrolled:
        return Denied(_SET_UP_ALREADY)
    if me.session.restricted and isinstance(me.step, NeedCode):
        return Denied(_RECOVERY_CODE_FIRST)
    return None


def _not_offered(me: ActingUser, method: Method) -> Denied | None:
    if not may_set_up(me.policy):
        return Denied(NOT_AVAILABLE)
    if method not in me.policy.methods:
        return turned_off(method)
    if method is Method.EMAIL and _password_came_by_email(me):
        return Denied(EMAIL_AFTER_ANOTHER)
    return None if me.facts.enrolled else too_many_sets(me.tx, me.user)


def turned_off(method: Method) -> Denied:
    """Refuse a method that the policy does not allow."""
    return Denied(f"The method {method.label} is turned off. Choose another one.")


def _password_came_by_email(me: ActingUser) -> bool:
    """Whether anyone who reads the mailbox would hold both factors if codes were sent there."""
    return me.user.password_mailed_at is not None and not me.facts.enrolled


def _pending(me: ActingUser, method: Method, destination: str) -> PendingDestination:
    return PendingDestination(
        session_id=me.session.id,
        begun_at=me.tx.now,
        replaces=identity(me.user.id, method),
        method=method,
        because=_because(me),
        destination=destination,
    )


def activate(me: ActingUser, method: Method, destination: str, message: str = "") -> Enrolled:
    """Store a proven destination as a factor, replacing the previous one."""
    table = models.Factor
    mine = (table.user == me.user.id) & (table.kind == method.value)
    replaced = bool(table.delete().where(mine).execute())
    table.insert(
        user=me.user.id,
        kind=method.value,
        sealed_secret=b"",
        last_step=0,
        destination=destination,
        confirmed_at=me.tx.now,
    ).execute()
    sent_codes.void_codes(me.user.id)
    if method is Method.SMS and me.user.phone != destination:
        models.User.update(phone=destination).where(models.User.id == me.user.id).execute()
        reindex_user(me.user.id)
        trail.record(me, Event.USER_EDITED, me.user.name, fields="phone")
    return Enrolled(
        recovery_codes=_complete(me, method, replaced=replaced),
        next_code_in_seconds=None,
        message=message or f"Codes by {method.label} are set up.",
    )


def _complete(me: ActingUser, method: Method, *, replaced: bool) -> tuple[str, ...]:
    """Finish an enrolment; return its new recovery codes.

    Other sessions end if they rely on a factor that was replaced, or gave no code and would now be asked
    for one.
    """
    keeps_codes = me.facts.enrolled or codes_left(me.user.id) > 0
    issued = () if keeps_codes else issue_recovery_codes(me.tx, me.user.id)
    changes: dict[str, object] = {"lost_factor": False}
    if method is not Method.EMAIL:
        changes["password_mailed_at"] = None
    models.User.update(changes).where(models.User.id == me.user.id).execute()
    refresh_standing_of(me.user.id, me.tx.now)
    refresh_few_codes(me.user.id)
    void_temporary_code(me.user.id)
    mark_code_given(me)
    if replaced:
        because = f"Your {method.label} was replaced by a new one. Sign in again."
        end_other_sessions(me, me.user.id, because)
        withdraw_by(me, me.user, f"the {method.label} was replaced")
    else:
        rejudge_sessions_of(me.tx, me.user.id)
    event = Event.REPLACED if replaced else Event.ENROLLED
    trail.record(me, event, me.user.name, method=method.label)
    return issued


def _because(me: ActingUser) -> str:
    if me.policy.mode in (Mode.REQUIRED, Mode.PERMANENT):
        return f"required by {me.user.account.name}"
    if me.user.lost_factor:
        return "required because you lost your last factor"
    if me.user.required:
        return "required by an administrator"
    return "required for everyone who holds a role" if me.facts.must_use_two_factor else "your choice"


def _store_app(tx: Tx, user_id: int, secret: str, step: int) -> None:
    models.Factor.delete().where((models.Factor.user == user_id) & (models.Factor.kind == "app")).execute()
    factor_id = models.Factor.insert(
        user=user_id,
        kind="app",
        sealed_secret=b"",
        last_step=step,
        last_offset=step - totp.step_at(tx.now),
        confirmed_at=tx.now,
    ).execute()
    sealed = seal_factor(tx, totp.decode_secret(secret), user_id=user_id, factor_id=factor_id)
    models.Factor.update(sealed_secret=sealed).where(models.Factor.id == factor_id).execute()
