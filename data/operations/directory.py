"""Changing people: creating, editing, deactivating, roles, requiring, clearing and unlocking."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from data.operations import audit
from data.operations.actors import (
    Acting,
    ActingUser,
    Actor,
    authorise,
    factor_of,
    methods_of,
    own,
    roles_of,
    stale,
)
from data.operations.enrollment import remove_factors
from data.operations.people import find_user
from data.operations.practices import NO_SUCH_PRACTICE, find_practice
from data.operations.remembered import NOTHING_REMEMBERED, forget
from data.operations.results import Denied, Done, Refused, RefusedOrStale
from data.operations.resync import OFFER_LASTS
from data.operations.sessions import end_sessions_of_user
from data.rules import names
from data.rules.events import Event
from data.rules.facts import ADMIN_ROLES, Method, Mode, Role
from data.rules.permissions import Action, action_to_grant, outranks, permits
from data.rules.policy import ATTEMPTS, Refusal
from data.rules.publickeys import PublicKey
from data.storage import models
from data.store import Tx

_LOST_A_ROLE = "An administrator took a role from you. Sign in again."
_DATA_CLEARED = "An administrator cleared your two-factor data. Sign in again."
_RESTS = " The flag rests while the mode is off."


@dataclass(frozen=True, slots=True)
class NewUser:
    """What a new user is made from. The password is hashed before, off the transaction."""

    name: str
    email: str
    full_name: str = ""
    roles: frozenset[Role] = frozenset()
    required: bool = False
    password_hash: str | None = field(default=None, repr=False)
    one_time_password: bool = True
    key: PublicKey | None = None
    phone: str = ""
    practice: str | None = None
    """The name of a practice of the account; None stands for its first."""


@dataclass(frozen=True, slots=True)
class UserChanges:
    """What to change of a user, or what a form showed of them; None leaves a field out.

    An empty phone number removes the number.
    """

    email: str | None = None
    full_name: str | None = None
    phone: str | None = None

    def given(self) -> dict[str, str]:
        """Return the fields that are not left out."""
        fields = {"email": self.email, "full_name": self.full_name, "phone": self.phone}
        return {key: value for key, value in fields.items() if value is not None}


def create_user(tx: Tx, actor: Actor, new: NewUser) -> Done | Refused:
    """Create a user in the actor's account."""
    acting = authorise(tx, actor, Action.MANAGE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    for role in new.roles:
        if refusal := _may_grant(acting, role):
            return refusal
    fields = _checked(name=new.name, email=new.email, full_name=new.full_name, phone=new.phone)
    if isinstance(fields, Denied):
        return fields
    if refusal := _taken(fields):
        return refusal
    practice = _practice_of(acting, new.practice)
    if isinstance(practice, Denied):
        return practice
    user_id = models.User.insert(
        account=acting.account_id,
        practice=practice,
        required=new.required,
        password_hash=new.password_hash,
        one_time_password=new.one_time_password and new.password_hash is not None,
        attempts_left=ATTEMPTS,
        created_at=tx.now,
        **_columns(fields),
    ).execute()
    for role in new.roles:
        models.UserRole.insert(user=user_id, role=role.value).execute()
    audit.record(
        tx, acting, Event.USER_CREATED, fields["name"], roles=sorted(new.roles), required=new.required
    )
    if new.key is not None:
        add_key_row(tx, acting, user_id, fields["name"], new.key)
    rests = _RESTS if new.required and acting.policy.mode is Mode.OFF else ""
    return Done(f"User {fields['name']} created.{rests}{_shared_phone(acting, user_id, fields)}")


def add_key_row(tx: Tx, acting: Acting, user_id: int, username: str, key: PublicKey) -> None:
    """Store a parsed public key for a user who does not hold it yet."""
    models.PublicKey.insert(
        user=user_id,
        algorithm=key.algorithm,
        blob=key.blob,
        fingerprint=key.fingerprint,
        comment=(names.tidy(key.comment) or "")[: names.TEXT_LIMIT],
        added_at=tx.now,
    ).execute()
    audit.record(tx, acting, Event.KEY_ADDED, username, fingerprint=key.fingerprint)


def edit_user(
    tx: Tx, actor: Actor, name: str, changes: UserChanges, *, seen: UserChanges | None = None
) -> Done | RefusedOrStale:
    """Change a user's e-mail address, full name or phone number.

    Where codes went to what is changed, this resets a second factor and is asked for like that.
    `seen` is what the actor's form showed. What someone else changed since, of the fields to be
    changed, refuses the whole; other fields stay as that someone left them.
    """
    found = _find(tx, actor, name, Action.MANAGE_PEOPLE)
    if not isinstance(found, Found):
        return found
    changed = _changed(found.user, changes, seen)
    if not isinstance(changed, dict):
        return changed or Done("Nothing changed.")
    resets = _factors_at(found.user.id, changed)
    if resets and (refusal := _outranked(found) or stale(tx, found.acting)):
        return refusal
    return _save(tx, found.acting, found.user, changed)


def edit_own(
    tx: Tx, actor: Actor, changes: UserChanges, *, seen: UserChanges | None = None
) -> Done | RefusedOrStale:
    """Change one's own full name, e-mail address or phone number; the last two ask for fresh proof.

    Codes go to them, and whoever finds a terminal open is not to turn them elsewhere.
    """
    me = own(tx, actor)
    if not isinstance(me, ActingUser):
        return me
    changed = _changed(me.user, changes, seen)
    if not isinstance(changed, dict):
        return changed or Done("Nothing changed.")
    if changed.keys() != {"full_name"} and (refusal := stale(tx, me.acting)):
        return refusal
    return _save(tx, me.acting, me.user, changed)


def set_active(tx: Tx, actor: Actor, name: str, *, active: bool) -> Done | Refused:
    """Deactivate a user, or activate one again; the last administrators are kept."""
    found = _find(tx, actor, name, Action.MANAGE_PEOPLE)
    if not isinstance(found, Found):
        return found
    user = found.user
    words = "active" if active else "deactivated"
    if user.active == active:
        return Denied(f"User {user.name} is {words} already.")
    if not active:
        if found.acting.user is not None and found.acting.user.id == user.id:
            return Denied("You cannot deactivate yourself. Another system administrator can.")
        if refusal := _keeps_last_admins(found, found.roles):
            return refusal
        end_sessions_of_user(tx, user.id, Refusal.DEACTIVATED)
        forget(user.id)
    models.User.update(active=active).where(models.User.id == user.id).execute()
    audit.record(tx, found.acting, Event.USER_ACTIVATED if active else Event.USER_DEACTIVATED, user.name)
    return Done(f"User {user.name} is {words}.")


def set_roles(
    tx: Tx, actor: Actor, name: str, roles: frozenset[Role], *, seen: frozenset[Role] | None = None
) -> Done | Refused:
    """Give a user exactly these roles, each by someone who may grant or take it.

    `seen` are the roles that the actor decided upon.
    """
    found = _find(tx, actor, name, Action.SEE_PEOPLE)
    if not isinstance(found, Found):
        return found
    if refusal := _roles_refusal(found, roles, seen):
        return refusal
    models.UserRole.delete().where(models.UserRole.user == found.user.id).execute()
    for role in roles:
        models.UserRole.insert(user=found.user.id, role=role.value).execute()
    if found.roles - roles:
        end_sessions_of_user(tx, found.user.id, _LOST_A_ROLE)
    audit.record(
        tx, found.acting, Event.ROLES_CHANGED, found.user.name, roles=", ".join(sorted(roles)) or "none"
    )
    return Done(f"Roles of {found.user.name} saved.")


def set_required(tx: Tx, actor: Actor, name: str, *, required: bool) -> Done | Refused:
    """Require two-factor authentication of a user, or leave it to the policy again."""
    found = _find(tx, actor, name, Action.CONTROL_TWO_FACTOR)
    if not isinstance(found, Found):
        return found
    if refusal := _outranked(found):
        return refusal
    user = found.user
    if user.required == required:
        return Denied(
            f"Two-factor authentication is {'' if required else 'not '}required of {user.name} already."
        )
    models.User.update(required=required).where(models.User.id == user.id).execute()
    audit.record(tx, found.acting, Event.REQUIRED if required else Event.NOT_REQUIRED, user.name)
    if not required:
        return Done(f"Two-factor authentication is no longer required of {user.name}.")
    rests = _RESTS if found.acting.policy.mode is Mode.OFF else ""
    return Done(f"Two-factor authentication is required of {user.name}.{rests}")


def disable_two_factor(tx: Tx, actor: Actor, name: str) -> Done | RefusedOrStale:
    """Remove a user's flag, factors and recovery codes."""
    return _remove_two_factor(tx, actor, name, keep_flag=False)


def clear_two_factor(tx: Tx, actor: Actor, name: str) -> Done | RefusedOrStale:
    """Remove a user's factors and recovery codes and keep the flag: for a new phone.

    Who had a factor must set one up again, also where it is not required of them.
    """
    return _remove_two_factor(tx, actor, name, keep_flag=True)


def unlock(tx: Tx, actor: Actor, name: str, reason: str) -> Done | Refused:
    """Let a locked user sign in again, with all seven attempts; the audit log keeps the reason."""
    found = _find(tx, actor, name, Action.UNLOCK)
    if not isinstance(found, Found):
        return found
    user = found.user
    if user.locked_at is None:
        return Denied(f"User {user.name} is not locked.")
    because = names.tidy(reason)
    if not because:
        return Denied(f"Say why, in 1 to {names.TEXT_LIMIT} characters: the activity keeps the reason.")
    models.User.update(locked_at=None, attempts_left=ATTEMPTS).where(models.User.id == user.id).execute()
    audit.record(tx, found.acting, Event.USER_UNLOCKED, user.name, reason=because)
    return Done(f"User {user.name} is unlocked and has {ATTEMPTS} attempts again.")


def forget_addresses(tx: Tx, actor: Actor, name: str, which: int | None = None) -> Done | Refused:
    """Forget a user's remembered addresses, or one of them: a code is asked there again."""
    found = _find(tx, actor, name, Action.CONTROL_TWO_FACTOR)
    if not isinstance(found, Found):
        return found
    count = forget(found.user.id, which=which)
    if not count:
        return Done(NOTHING_REMEMBERED)
    audit.record(tx, found.acting, Event.ADDRESSES_FORGOTTEN, found.user.name, count=count)
    return Done(f"Forgotten: {found.user.name} is asked for a code there again.")


def offer_resync(tx: Tx, actor: Actor, name: str) -> Done | RefusedOrStale:
    """Let a user sign in by two consecutive codes for an hour, though their phone's clock is off."""
    found = find_to_reset(tx, actor, name, Action.CONTROL_TWO_FACTOR)
    if not isinstance(found, Found):
        return found
    user = found.user
    factor = factor_of(user.id, Method.APP)
    if factor is None:
        return Denied(f"{user.name} has set up no authenticator app, so there is no clock to bring back.")
    until = tx.now + OFFER_LASTS
    table = models.Factor
    table.update(resync_until=until, resync_step=None).where(table.id == factor.id).execute()
    audit.record(tx, found.acting, Event.RESYNC_OFFERED, user.name, until=f"{until:%Y-%m-%d %H:%M} UTC")
    locked = f" Unlock them too: {user.name} is locked." if user.locked_at else ""
    return Done(f"For an hour {user.name} can sign in with two codes, one after the other.{locked}")


@dataclass(frozen=True, slots=True)
class Found:
    """An administrator and the user they act on."""

    acting: Acting
    user: models.User
    roles: frozenset[Role]


def _find(tx: Tx, actor: Actor, name: str, action: Action) -> Found | Refused:
    acting = authorise(tx, actor, action)
    if not isinstance(acting, Acting):
        return acting
    user = find_user(acting, name)
    return user if isinstance(user, Denied) else Found(acting, user, roles_of(user))


def find_to_reset(tx: Tx, actor: Actor, name: str, action: Action) -> Found | RefusedOrStale:
    """Find a user whose password, keys or factors an administrator wants to change.

    Nobody resets someone who holds a role they lack, and the act asks for fresh proof.
    """
    found = _find(tx, actor, name, action)
    if not isinstance(found, Found):
        return found
    return _outranked(found) or stale(tx, found.acting) or found


def _remove_two_factor(tx: Tx, actor: Actor, name: str, *, keep_flag: bool) -> Done | RefusedOrStale:
    found = find_to_reset(tx, actor, name, Action.CONTROL_TWO_FACTOR)
    if not isinstance(found, Found):
        return found
    remove_factors(found.user.id, lost=keep_flag)
    if keep_flag:
        end_sessions_of_user(tx, found.user.id, _DATA_CLEARED)
    else:
        models.User.update(required=False).where(models.User.id == found.user.id).execute()
    audit.record(tx, found.acting, Event.CLEARED if keep_flag else Event.DISABLED, found.user.name)
    done = "data cleared" if keep_flag else "authentication disabled"
    return Done(f"Two-factor {done} for {found.user.name}.")


def _outranked(found: Found) -> Denied | None:
    if found.acting.is_operator or outranks(found.acting.roles, found.roles):
        return None
    lacking = ", ".join(role.label for role in sorted(found.roles - found.acting.roles))
    return Denied(
        f"{found.user.name} holds a role that you lack ({lacking}). Someone who holds it can do this."
    )


def _may_grant(acting: Acting, role: Role) -> Denied | None:
    action = action_to_grant(role)
    return None if acting.is_operator or permits(action, acting.roles) else Denied(action.who_can)


def _roles_refusal(found: Found, roles: frozenset[Role], seen: frozenset[Role] | None) -> Denied | None:
    """Why this actor cannot give exactly these roles now."""
    user = found.user
    changed = found.roles ^ roles
    if not changed:
        return Denied("Those are the user's roles already.")
    if seen is not None and seen != found.roles:
        held = ", ".join(role.label for role in sorted(found.roles)) or "none"
        return Denied(f"Someone else changed the roles of {user.name} to {held} meanwhile. Look again first.")
    if found.acting.user is not None and found.acting.user.id == user.id:
        return Denied("Nobody changes their own roles. Ask another administrator.")
    refusals = (_may_grant(found.acting, role) for role in sorted(changed))
    return next(filter(None, refusals), None) or _keeps_last_admins(found, found.roles - roles)


def _keeps_last_admins(found: Found, lost: Iterable[Role]) -> Denied | None:
    """Refuse to lose the last active holder of an admin role."""
    if not found.user.active:
        return None
    for role in sorted(ADMIN_ROLES & frozenset(lost)):
        others = (
            models.UserRole.select()
            .join(models.User)
            .where(
                (models.UserRole.role == role.value)
                & (models.User.account == found.acting.account_id)
                & models.User.active
                & (models.User.id != found.user.id)
            )
        )
        if not others.exists():
            return Denied(f"{found.user.name} is the last active {role.label}. Make someone else one first.")
    return None


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
    "name": (names.fold_username, names.USERNAME_RULE),
    "email": (names.fold_email, "That is not an e-mail address. One looks like anna@clinic.example."),
    "full_name": (names.tidy, f"A full name has at most {names.TEXT_LIMIT} characters."),
    "phone": (lambda typed: names.fold_phone(typed) if typed.strip() else "", names.PHONE_RULE),
}
_LABELS = {"email": "e-mail address", "full_name": "full name", "phone": "phone number"}


def _columns(fields: dict[str, str]) -> dict[str, str | None]:
    """Write checked fields as columns: no phone number is null."""
    return {key: value or None if key == "phone" else value for key, value in fields.items()}


def _changed(
    user: models.User, changes: UserChanges, seen: UserChanges | None
) -> dict[str, str] | Denied | None:
    """Return the checked fields that differ from what a user has; None when nothing does."""
    fields = _checked(**changes.given())
    if isinstance(fields, Denied):
        return fields
    present = {key: getattr(user, key) or "" for key in _LABELS}
    changed = {key: value for key, value in fields.items() if value != present[key]}
    shown = seen.given() if seen else {}
    for key in changed:
        if key in shown and shown[key] != present[key]:
            return Denied(
                f"Someone else changed the {_LABELS[key]} to {present[key] or 'none'} meanwhile. "
                "Look again, and save once more if yours is right."
            )
    return changed or None


def _save(tx: Tx, acting: Acting, user: models.User, changed: dict[str, str]) -> Done | Denied:
    if refusal := _taken(changed):
        return refusal
    models.User.update(_columns(changed)).where(models.User.id == user.id).execute()
    audit.record(tx, acting, Event.USER_EDITED, user.name, fields=", ".join(sorted(changed)))
    withdrawn = _withdraw(tx, acting, user, changed)
    return Done(f"User {user.name} saved.{_shared_phone(acting, user.id, changed)}{withdrawn}")


_DESTINATIONS = {"email": Method.EMAIL, "phone": Method.SMS}
"""Which method's codes go to which field of a user."""


def _factors_at(user_id: int, changed: dict[str, str]) -> list[models.Factor]:
    """Read the factors whose codes go to what is changed."""
    kinds = {method.value: changed[key] for key, method in _DESTINATIONS.items() if key in changed}
    table = models.Factor
    rows = table.select().where((table.user == user_id) & table.kind.in_(list(kinds)))
    return [row for row in rows if row.destination != kinds[row.kind]]


def _withdraw(tx: Tx, acting: Acting, user: models.User, changed: dict[str, str]) -> str:
    """Withdraw the factors whose codes went to what was changed; return what to say of it.

    Whoever loses the last one so must set one up again, and never falls back to the first factor alone.
    """
    gone = _factors_at(user.id, changed)
    if not gone:
        return ""
    for factor in gone:
        factor.delete_instance()
        audit.record(tx, acting, Event.WITHDRAWN, user.name, method=Method(factor.kind).label)
    forget(user.id)
    listed = " and ".join(Method(factor.kind).label for factor in gone)
    if methods_of(user):
        return f" Codes by {listed} are withdrawn."
    models.User.update(lost_factor=True).where(models.User.id == user.id).execute()
    return f" Codes by {listed} are withdrawn; two-factor authentication must be set up again."


def _shared_phone(acting: Acting, user_id: int, fields: dict[str, str]) -> str:
    """Warn of a number that another user of the account has as well; sharing is allowed."""
    table = models.User
    other = fields.get("phone") and table.get_or_none(
        (table.account == acting.account_id) & (table.phone == fields["phone"]) & (table.id != user_id)
    )
    return f" {other.name} has the same phone number: a number each is better." if other else ""


def _practice_of(acting: Acting, name: str | None) -> int | Denied:
    """Find the practice that a new user goes to."""
    if name is not None:
        found = find_practice(acting, name)
        return NO_SUCH_PRACTICE if found is None else found.id
    table = models.Practice
    first: models.Practice = table.select().where(table.account == acting.account_id).order_by(table.id).get()
    return first.id


def _taken(fields: dict[str, str]) -> Denied | None:
    if "name" in fields and models.User.select().where(models.User.name == fields["name"]).exists():
        return Denied(f"There is a user {fields['name']} already. Choose another name.")
    if "email" in fields and models.User.select().where(models.User.email == fields["email"]).exists():
        return Denied("Another user has that e-mail address. Each user needs their own.")
    return None
