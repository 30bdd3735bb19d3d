"""Importing second factors that people have set up elsewhere, so that no one has to enrol again."""

from collections.abc import Sequence
from dataclasses import dataclass

from data.operations.actors import Acting, Actor, resolve
from data.operations.audit import trail
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of
from data.operations.results import Denied, Done, Refused
from data.operations.secret_sealing import seal_factor
from data.operations.signin import code_verification
from data.operations.signin.sessions import rejudge_sessions_of
from data.operations.users.target_user import find_user
from data.rules import totp
from data.rules.audit_events import Event
from data.rules.google_authenticator_file import AuthenticatorFile
from data.storage import models
from data.store import Tx

_OPERATOR_ONLY = "Only the operator on the host can import authenticator files."


@dataclass(frozen=True, slots=True)
class Unfit:
    """Nothing was imported, because of these users: each name with the reason."""

    reasons: tuple[tuple[str, str], ...]


def take_over(tx: Tx, actor: Actor, files: Sequence[tuple[str, AuthenticatorFile]]) -> Done | Unfit | Refused:
    """Give users the secrets and unused scratch codes of their files: all users or none.

    Anyone who knows a secret can answer for its owner, so only the operator, who holds all keys anyway,
    may do this.
    """
    found = _owners(tx, actor, files)
    if not isinstance(found, _Owners):
        return found
    for user_id, file in found.files.items():
        _give(found.acting, models.User.get_by_id(user_id), file)
    return Done(f"Imported the authenticator app of {_users(found)}.{_left_out(files)}")


def find_unfit(
    tx: Tx, actor: Actor, files: Sequence[tuple[str, AuthenticatorFile]]
) -> Done | Unfit | Refused:
    """Say whose file could not be imported, and change nothing."""
    found = _owners(tx, actor, files)
    if not isinstance(found, _Owners):
        return found
    can = f"The authenticator app of {_users(found)} can be imported."
    return Done(f"{can} Nothing was changed.{_left_out(files)}")


@dataclass(frozen=True, slots=True)
class _Owners:
    acting: Acting
    files: dict[int, AuthenticatorFile]


def _owners(
    tx: Tx, actor: Actor, files: Sequence[tuple[str, AuthenticatorFile]]
) -> _Owners | Unfit | Refused:
    acting = resolve(tx, actor)
    if not isinstance(acting, Acting):
        return acting
    if not acting.is_operator:
        return Denied(_OPERATOR_ONLY)
    reasons: list[tuple[str, str]] = []
    owners: dict[int, AuthenticatorFile] = {}
    for name, file in files:
        user = find_user(acting, name)
        if isinstance(user, Denied):
            reasons.append((name, user.message))
        elif user.id in owners:
            reasons.append((name, "This user is named twice."))
        elif models.Factor.select().where(models.Factor.user == user.id).exists():
            reasons.append((name, "Two-factor authentication is already set up. Clear it first."))
        else:
            owners[user.id] = file
    return Unfit(tuple(reasons)) if reasons else _Owners(acting, owners)


def _users(found: _Owners) -> str:
    return f"{len(found.files)} user{'' if len(found.files) == 1 else 's'}"


def _left_out(files: Sequence[tuple[str, AuthenticatorFile]]) -> str:
    """Say how many scratch codes of each user are left out."""
    counts = ", ".join(f"{file.left_out} of {name}" for name, file in files if file.left_out)
    why = "Google's module stops reading at one that begins with 0 or does not have eight digits"
    return f" Scratch codes were left out, because {why}: {counts}." if counts else ""


def _give(acting: Acting, user: models.User, file: AuthenticatorFile) -> None:
    """Store a secret and scratch codes; a time step that was used there is dead here too."""
    tx = acting.tx
    last_step = min(file.last_step, totp.step_at(tx.now) + totp.WINDOW)
    factor_id = models.Factor.insert(
        user=user.id, kind="app", sealed_secret=b"", last_step=last_step, confirmed_at=tx.now
    ).execute()
    sealed = seal_factor(tx, file.secret, user_id=user.id, factor_id=factor_id)
    models.Factor.update(sealed_secret=sealed).where(models.Factor.id == factor_id).execute()
    models.RecoveryCode.delete().where(models.RecoveryCode.user == user.id).execute()
    for number, code in enumerate(file.scratch_codes):
        models.RecoveryCode.insert(
            user=user.id,
            selector=f"#{number}",
            secret_hash=code_verification.scratch_digest(tx, user.id, code),
        ).execute()
    models.User.update(lost_factor=False, recovery_saved=True).where(models.User.id == user.id).execute()
    refresh_standing_of(user.id, tx.now)
    refresh_few_codes(user.id)
    rejudge_sessions_of(tx, user.id)
    trail.record(acting, Event.TAKEN_OVER, user.name, codes=len(file.scratch_codes))
