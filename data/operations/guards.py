"""Guards: decorators that state what an operation requires of its actor.

A guarded operation is called with the transaction and the actor. The guard looks the actor up in that
transaction, and either returns a denial or passes on who acts; so the operation begins with its subject.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, overload

from data.operations.actors import Acting, ActingOperator, ActingUser, Actor, Operator, resolve
from data.operations.results import Denied, FreshProof, FreshProofNeeded, Refused, RefusedOrStale
from data.rules.permissions import Action, Permission, SensitiveAction, permits
from data.rules.policy import Step, asks_code
from data.store import Tx

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

Body = Callable[Concatenate[A, P], R]
"""The function under a guard: it takes who acts, then its own arguments."""
Guarded = Callable[Concatenate[Tx, Actor, P], R]
"""An operation as it is called."""

FRESH_FOR = timedelta(minutes=5)
"""How long a code or password counts as fresh."""
KEPT = ("__module__", "__name__", "__qualname__", "__doc__")
"""What an operation keeps of the function under its guard; the annotations are those for its callers."""
_NO_PROFILE = Denied("The operator has no profile. Name a user instead.")
_UNFINISHED = Denied("Finish signing in first.")
_NO_CODE_TO_GIVE = Denied(
    "Changes need a fresh code, but you have not set up a second factor. Someone who has one can make "
    "them, and so can the operator on the host."
)


@overload
def require_permission(action: Action) -> Callable[[Body[Acting, P, R]], Guarded[P, R | Refused]]: ...
@overload
def require_permission(
    action: SensitiveAction,
) -> Callable[[Body[Acting, P, R]], Guarded[P, R | RefusedOrStale]]: ...
def require_permission(
    action: Action | SensitiveAction,
) -> Callable[[Body[Acting, P, R]], Guarded[P, R | RefusedOrStale]]:
    """Guard an act on others or on the account (see `authorise`)."""

    def guard(body: Body[Acting, P, R]) -> Guarded[P, R | RefusedOrStale]:
        @wraps(body, KEPT)
        def guarded(tx: Tx, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R | RefusedOrStale:
            acting = authorise(tx, actor, action)
            return body(acting, *args, **kwargs) if isinstance(acting, Acting) else acting

        return guarded

    return guard


def require_user(
    restricted: tuple[type[Step], ...] = (),
) -> Callable[[Body[ActingUser, P, R]], Guarded[P, R | Refused]]:
    """Guard what users do to their own data.

    A restricted session may do so only where `restricted` names the step that the rules ask of it.
    """

    def guard(body: Body[ActingUser, P, R]) -> Guarded[P, R | Refused]:
        @wraps(body, KEPT)
        def guarded(tx: Tx, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R | Refused:
            acting = resolve(tx, actor)
            if isinstance(acting, ActingUser):
                barred = acting.session.restricted and not isinstance(acting.step, restricted)
                return _UNFINISHED if barred else body(acting, *args, **kwargs)
            return _NO_PROFILE if isinstance(acting, Acting) else acting

        return guarded

    return guard


def require_operator(denial: Denied) -> Callable[[Body[ActingOperator, P, R]], Guarded[P, R | Refused]]:
    """Guard what the operator on the host does to the whole installation; users get `denial`."""

    def guard(body: Body[ActingOperator, P, R]) -> Guarded[P, R | Refused]:
        @wraps(body, KEPT)
        def guarded(tx: Tx, actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> R | Refused:
            if isinstance(actor, Operator):
                return body(ActingOperator(tx, actor), *args, **kwargs)
            acting = resolve(tx, actor)
            return denial if isinstance(acting, Acting) else acting

        return guarded

    return guard


@overload
def authorise(tx: Tx, actor: Actor, action: Action) -> Acting | Refused: ...
@overload
def authorise(tx: Tx, actor: Actor, action: Action | SensitiveAction) -> Acting | RefusedOrStale: ...
def authorise(tx: Tx, actor: Actor, action: Action | SensitiveAction) -> Acting | RefusedOrStale:
    """Look up an actor who wants to act on others; a restricted session may do nothing.

    A sensitive action is refused without fresh proof. The operator needs none: the home, which they can
    read, holds all keys.
    """
    acting = resolve(tx, actor)
    if not isinstance(acting, Acting) or acting.is_operator:
        return acting
    if refusal := why_not(acting, action):
        return refusal
    if isinstance(acting, ActingUser) and isinstance(action, SensitiveAction):
        return _needed_proof(acting, on_others=True) or acting
    return acting


def why_not(acting: Acting, action: Permission) -> Denied | None:
    """Return why this actor may not do an act on others, even with fresh proof; None if they may."""
    if acting.is_operator:
        return None
    if acting.session is None or acting.facts is None or acting.session.restricted:
        return _UNFINISHED
    if not permits(action, acting.roles):
        return Denied(action.who_can)
    proves = not isinstance(action, SensitiveAction) or asks_code(acting.policy, acting.facts, on_others=True)
    return None if proves else _NO_CODE_TO_GIVE


def first_hindrance(acting: Acting, *actions: Permission) -> str:
    """Return why this actor may not do the first of these acts that they may not; empty if there is none."""
    refusals = (why_not(acting, action) for action in actions)
    return next((refusal.message for refusal in refusals if refusal), "")


def require_fresh_proof(me: ActingUser, *, replaces_phone: bool = False) -> FreshProofNeeded | Denied | None:
    """Return what a sensitive act on one's own data still needs; None if proof was given recently.

    If no code is asked of a user, the password or the sign-in itself is proof. A temporary code is proof
    for replacing the phone alone.
    """
    return _needed_proof(me, on_others=False, replaces_phone=replaces_phone)


def _needed_proof(
    acting: ActingUser, *, on_others: bool, replaces_phone: bool = False
) -> FreshProofNeeded | Denied | None:
    session, code = acting.session, asks_code(acting.policy, acting.facts, on_others=on_others)
    if code:
        is_given = is_fresh(acting.tx, session.code_at) and (replaces_phone or not session.temporary_code)
    else:
        is_given = is_fresh(acting.tx, session.fresh_at)
    return None if is_given else which_proof(acting, code=code, replaces_phone=replaces_phone)


def which_proof(acting: ActingUser, *, code: bool, replaces_phone: bool = False) -> FreshProofNeeded | Denied:
    """Return the fresh proof that a user can give: a code if one is asked for, otherwise their password."""
    if code:
        left = acting.user.attempts_left
        return FreshProofNeeded(FreshProof.CODE, acting.facts.methods, left, replaces_phone=replaces_phone)
    if acting.user.password_hash is not None and not acting.facts.one_time_password:
        return FreshProofNeeded(FreshProof.PASSWORD)
    return Denied("Sign out, sign in again, and do this within five minutes.")


def is_fresh(tx: Tx, given: datetime | None) -> bool:
    """Whether proof that was given at a moment, if any, counts as fresh now."""
    return given is not None and timedelta(0) <= tx.now - given <= FRESH_FOR
