"""Changing users: creating, editing, deactivating."""

from dataclasses import dataclass, field

from data.operations.actors import Acting, ActingUser, Actor, usable_factors
from data.operations.audit import notices, trail
from data.operations.certificates.withdrawal import withdraw_by
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of, reindex_user
from data.operations.guards import require_fresh_proof, require_permission, require_user
from data.operations.results import Denied, Done, FreshProofNeeded, RefusedOrStale
from data.operations.signin.remembered_addresses import forget
from data.operations.signin.sessions import end_other_sessions, end_sessions_of_user
from data.operations.signin.temporary_codes import void_temporary_code
from data.operations.users.practices import NO_SUCH_PRACTICE, find_practice
from data.operations.users.target_user import Target, outranked_by
from data.operations.users.uniqueness import refuse_used
from data.operations.users.user_acts import find_target, may_grant, why_not_to
from data.rules import passwords, user_fields
from data.rules.audit_events import Event
from data.rules.deadline import grace_from
from data.rules.domain_types import Method, Mode, Role, ThemeChoice
from data.rules.notices import contact_changes
from data.rules.permissions import SensitiveAction, UserAct
from data.rules.policy import ATTEMPTS, Refusal
from data.rules.public_keys import PublicKey
from data.storage import models
from data.store import Tx

_RESTS = " Takes effect when 2FA is turned on."


@dataclass(frozen=True, slots=True)
class NewUser:
    """The fields of a new user. The password is hashed before, outside the transaction.

    `hours` is how long the password is good, as a one-time password.
    """

    name: str
    email: str
    full_name: str = ""
    roles: frozenset[Role] = frozenset()
    required: bool = False
    password_hash: str | None = field(default=None, repr=False)
    one_time_password: bool = True
    hours: int = passwords.ONE_TIME_HOURS
    key: PublicKey | None = None
    phone: str = ""
    practice: str | None = None
    """The name of a practice of the account; None means its first."""


@dataclass(frozen=True, slots=True)
class UserChanges:
    """Changes to a user, or what a form showed of them; None leaves a field out.

    An empty phone number removes the number.
    """

    email: str | None = None
    full_name: str | None = None
    phone: str | None = None

    def given(self) -> dict[str, str]:
        """Return the fields that are not left out."""
        fields = {"email": self.email, "full_name": self.full_name, "phone": self.phone}
        return {key: value for key, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Edited(Done):
    """A user was changed.

    `offers_clearing` says that they had set up two-factor authentication when their address or number was
    changed, so that the actor may want to clear it, and can.
    """

    offers_clearing: bool = False


@require_permission(SensitiveAction.EMPOWER_PEOPLE)
def create_user(acting: Acting, new: NewUser) -> Done | Denied:
    """Create a user in the actor's account."""
    return add_user(acting, new)


def add_user(acting: Acting, new: NewUser) -> Done | Denied:
    """Add a user to the account of an actor who may do so."""
    tx = acting.tx
    for role in new.roles:
        if refusal := may_grant(acting, role):
            return refusal
    fields = _checked(name=new.name, email=new.email, full_name=new.full_name, phone=new.phone)
    if isinstance(fields, Denied):
        return fields
    if refusal := refuse_used(tx, fields):
        return refusal
    practice = _practice_of(acting, new.practice)
    if isinstance(practice, Denied):
        return practice
    one_time = new.one_time_password and new.password_hash is not None
    until = passwords.one_time_end(tx.now, new.hours) if one_time else None
    user_id = models.User.insert(
        account=acting.account_id,
        practice=practice,
        required=new.required,
        password_hash=new.password_hash,
        one_time_until=until,
        attempts_left=ATTEMPTS,
        created_at=tx.now,
        standing_since=tx.now,
        grace_from=grace_from(acting.policy.mode, tx.now),
        **_columns(fields),
    ).execute()
    for role in new.roles:
        models.UserRole.insert(user=user_id, role=role.value).execute()
    refresh_standing_of(user_id, tx.now)
    reindex_user(user_id)
    trail.record(acting, Event.USER_CREATED, fields["name"], roles=sorted(new.roles), required=new.required)
    if new.key is not None:
        add_key_row(acting, user_id, fields["name"], new.key)
    rests = _RESTS if new.required and acting.policy.mode is Mode.OFF else ""
    terms = f" They have a one-time password. {passwords.one_time_terms(until)}" if until else ""
    return Done(f"User {fields['name']} created.{rests}{_shared_phone(acting, user_id, fields)}{terms}")


def add_key_row(acting: Acting, user_id: int, username: str, key: PublicKey) -> None:
    """Store a parsed public key for a user who does not have it yet."""
    models.PublicKey.insert(
        user=user_id,
        algorithm=key.algorithm,
        blob=key.blob,
        fingerprint=key.fingerprint,
        comment=(user_fields.tidy(key.comment) or "")[: user_fields.TEXT_LIMIT],
        added_at=acting.tx.now,
    ).execute()
    trail.record(acting, Event.KEY_ADDED, username, fingerprint=key.fingerprint)


def edit_user(
    tx: Tx, actor: Actor, name: str, changes: UserChanges, *, seen: UserChanges | None = None
) -> Edited | RefusedOrStale:
    """Change a user's e-mail address, full name or phone number.

    If codes went to the old address or number, this resets a second factor.
    `seen` is what the actor's form showed. If someone else has since changed one of the same fields, the
    whole change is refused; other fields keep their changes, and the actor is told.
    """
    reached = changes.email is not None or changes.phone is not None
    found = find_target(tx, actor, name, UserAct.CHANGE_CONTACT if reached else UserAct.EDIT)
    if not isinstance(found, Target):
        return found
    changed = _changed(found.user, changes, seen)
    if not isinstance(changed, dict):
        return changed or Edited("Nothing changed.")
    if _factors_at(found.user.id, changed) and (refusal := outranked_by(found)):
        return refusal
    offers = bool(changed.keys() & _DESTINATIONS.keys()) and _can_clear(found)
    saved = _save(found.acting, found.user, changed, seen)
    return Edited(saved.message, offers_clearing=offers) if isinstance(saved, Edited) else saved


@require_user()
def edit_own(
    me: ActingUser, changes: UserChanges, *, seen: UserChanges | None = None
) -> Edited | Denied | FreshProofNeeded:
    """Change one's own full name, e-mail address or phone number; the last two need fresh proof.

    Codes go to them, and a stranger at an open terminal must not be able to redirect them.
    """
    changed = _changed(me.user, changes, seen)
    if not isinstance(changed, dict):
        return changed or Edited("Nothing changed.")
    if changed.keys() != {"full_name"} and (refusal := require_fresh_proof(me)):
        return refusal
    return _save(me, me.user, changed, seen)


@require_user()
def choose_theme(me: ActingUser, theme: ThemeChoice) -> Done:
    """Remember the theme of the actor's app. It says nothing about access, so it is not recorded."""
    me.user.theme = theme.value
    me.user.save(only=["theme"])
    return Done(f"Theme: {theme.label}.")


@require_user()
def choose_plain_mode(me: ActingUser, *, on: bool) -> Done:
    """Remember whether the actor's next sessions are in the plain mode. Like a theme, it is not recorded."""
    me.user.plain = on
    me.user.save(only=["plain"])
    return Done(f"Plain mode {'on' if on else 'off'}, from your next session.")


def set_active(tx: Tx, actor: Actor, name: str, *, active: bool) -> Done | RefusedOrStale:
    """Deactivate a user, or activate one again; the last administrators are kept."""
    found = find_target(tx, actor, name, UserAct.ACTIVATE if active else UserAct.DEACTIVATE)
    if not isinstance(found, Target):
        return found
    user, withdrawn = found.user, ""
    if not active:
        end_sessions_of_user(tx, user.id, Refusal.DEACTIVATED)
        forget(user.id)
        void_temporary_code(user.id)
        withdrawn = withdraw_by(found.acting, user, "the user was deactivated")
    models.User.update(active=active).where(models.User.id == user.id).execute()
    refresh_standing_of(user.id, tx.now)
    trail.record(found.acting, Event.USER_ACTIVATED if active else Event.USER_DEACTIVATED, user.name)
    return Done(f"User {user.name} {'activated' if active else 'deactivated'}.{withdrawn}")


def _checked(**given: str) -> dict[str, str] | Denied:
    """Fold and check names and addresses."""
    checked: dict[str, str] = {}
    for key, value in given.items():
        folded, rule = _FOLDS[key][0](value), _FOLDS[key][1]
        if folded is None:
            return Denied(rule)
        checked[key] = folded
    return checked


_FOLDS = {
    "name": (user_fields.fold_username, user_fields.USERNAME_RULE),
    "email": (user_fields.fold_email, "That is not an e-mail address. Example: anna@clinic.example."),
    "full_name": (user_fields.tidy, f"A full name has at most {user_fields.TEXT_LIMIT} characters."),
    "phone": (user_fields.fold_optional_phone, user_fields.PHONE_RULE),
}


_LABELS = {"email": "e-mail address", "full_name": "full name", "phone": "phone number"}


def _columns(fields: dict[str, str]) -> dict[str, str | None]:
    """Return checked fields as columns; no phone number is null."""
    return {key: value or None if key == "phone" else value for key, value in fields.items()}


def _changed(
    user: models.User, changes: UserChanges, seen: UserChanges | None
) -> dict[str, str] | Denied | None:
    """Return the checked fields that differ from the user's; None if nothing does."""
    fields = _checked(**changes.given())
    if isinstance(fields, Denied):
        return fields
    present = _present(user)
    changed = {key: value for key, value in fields.items() if value != present[key]}
    for key in sorted(changed.keys() & _changed_since(present, seen)):
        told = _told_of_change(key, present)
        return Denied(f"{told} Check it, and save again if yours is right.")
    return changed or None


def _present(user: models.User) -> dict[str, str]:
    """Return the editable fields as a form shows them."""
    return {key: getattr(user, key) or "" for key in _LABELS}


def _changed_since(present: dict[str, str], seen: UserChanges | None) -> set[str]:
    """Return the fields that have changed since a form showed them."""
    shown = seen.given() if seen else {}
    return {key for key, value in shown.items() if value != present[key]}


def _told_of_change(key: str, present: dict[str, str]) -> str:
    return f"Someone else changed the {_LABELS[key]} to {present[key] or 'none'} in the meantime."


def _save(
    acting: Acting, user: models.User, changed: dict[str, str], seen: UserChanges | None
) -> Edited | Denied:
    if refusal := refuse_used(acting.tx, changed):
        return refusal
    present = _present(user)
    kept = "".join(f" {_told_of_change(key, present)}" for key in sorted(_changed_since(present, seen)))
    models.User.update(_columns(changed)).where(models.User.id == user.id).execute()
    reindex_user(user.id)
    trail.record(acting, Event.USER_EDITED, user.name, fields=", ".join(sorted(changed)))
    withdrawn = _withdraw(acting, user, changed)
    if changed.keys() & _DESTINATIONS.keys():
        _tell_both(acting, user, changed, withdrawn)
    return Edited(f"User {user.name} saved.{kept}{_shared_phone(acting, user.id, changed)}{withdrawn}")


def _tell_both(acting: Acting, user: models.User, changed: dict[str, str], withdrawn: str) -> None:
    """Tell a user about a new address or number, through the old address and the new one."""
    notices.tell(
        acting.tx,
        Event.USER_EDITED,
        user,
        [user.email, changed.get("email", user.email)],
        actor=acting.name,
        origin=acting.origin,
        detail={"changes": contact_changes(changed, withdrawn)},
    )


def _can_clear(found: Target) -> bool:
    """Whether the user has something to clear, and is someone else whom the actor may reset."""
    has = found.holdings
    is_set_up = has.has_factor or has.recovery_codes
    return is_set_up and not found.is_oneself and why_not_to(UserAct.CLEAR, found) is None


_DESTINATIONS = {"email": Method.EMAIL, "phone": Method.SMS}
"""Which method's codes go to which field of a user."""


def _factors_at(user_id: int, changed: dict[str, str]) -> list[models.Factor]:
    """Read the factors whose codes go to the changed fields."""
    kinds = {method.value: changed[key] for key, method in _DESTINATIONS.items() if key in changed}
    table = models.Factor
    rows = table.select().where((table.user == user_id) & table.kind.in_(list(kinds)))
    return [row for row in rows if row.destination != kinds[row.kind]]


def _withdraw(acting: Acting, user: models.User, changed: dict[str, str]) -> str:
    """Withdraw the factors whose codes went to the changed fields; return what to say about it.

    A user who loses the last one this way must set one up again, and never falls back to the first factor
    alone.
    """
    gone = _factors_at(user.id, changed)
    if not gone:
        return ""
    for factor in gone:
        factor.delete_instance()
        trail.record(acting, Event.WITHDRAWN, user.name, method=Method(factor.kind).label)
    forget(user.id)
    left = usable_factors(user.id, acting.policy)
    if not left:
        models.User.update(lost_factor=True).where(models.User.id == user.id).execute()
    refresh_standing_of(user.id, acting.tx.now)
    refresh_few_codes(user.id)
    because = "Your second factor was removed with its address or number. Sign in again."
    end_other_sessions(acting, user.id, because)
    certificates = withdraw_by(acting, user, "a second factor was removed with its address or number")
    listed = " and ".join(Method(factor.kind).label for factor in gone)
    again = "" if left else "; two-factor authentication must be set up again"
    return f" Codes by {listed} were withdrawn{again}.{certificates}"


def _shared_phone(acting: Acting, user_id: int, fields: dict[str, str]) -> str:
    """Warn about a number that another user of the account also has; sharing is allowed."""
    table = models.User
    other = fields.get("phone") and table.get_or_none(
        (table.account == acting.account_id) & (table.phone == fields["phone"]) & (table.id != user_id)
    )
    return f" {other.name} has the same phone number. Use separate numbers if possible." if other else ""


def _practice_of(acting: Acting, name: str | None) -> int | Denied:
    """Find the practice that a new user belongs to."""
    if name is not None:
        found = find_practice(acting, name)
        return NO_SUCH_PRACTICE if found is None else found.id
    table = models.Practice
    first: models.Practice = table.select().where(table.account == acting.account_id).order_by(table.id).get()
    return first.id
