"""Backups: recording that one is taken, and restoring one without making anything spent since good again.

What the backup cannot know counts as spent: every time step up to the present, every sent code, every
session, certificate and remembered address. If the replaced database can be read, its knowledge is carried
over: which recovery codes were used, who is locked, which accounts are permanent, and which certificates
hosts still accept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from data.operations.actors import ActingOperator, Operator
from data.operations.audit import trail
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of
from data.operations.results import Denied, Done
from data.operations.users.import_staging import remove_unpublished
from data.rules import clock_jumps
from data.rules.audit_events import Event
from data.rules.domain_types import Method, Mode
from data.storage import models
from data.store import Tx

_RESTORED = "The installation was restored from a backup. Sign in again."
_WITHDRAWN = "the installation was restored from a backup"
_CERTIFICATE = ("serial", "key_id", "fingerprint", "principals", "source_addresses", "issued_at", "until")

Identity = tuple[str, datetime]
"""A user's name, and when they were created: a name alone could belong to someone new."""


@dataclass(frozen=True, slots=True)
class IssuedTo:
    """A certificate that has not ended: who has it, the fingerprint of its authority, and its columns."""

    user: Identity
    authority: str
    columns: dict[str, object]


@dataclass(frozen=True, slots=True)
class Carried:
    """What the replaced database knows and an earlier backup does not.

    `steps` are the last and the barred time steps of an app, by its user and when it was confirmed.
    """

    installed_at: datetime | None = None
    permanent: frozenset[str] = frozenset()
    used_codes: frozenset[str] = field(default=frozenset(), repr=False)
    steps: dict[tuple[Identity, datetime], tuple[int, frozenset[int]]] = field(default_factory=dict)
    attempts: dict[Identity, tuple[int, datetime | None]] = field(default_factory=dict)
    certificates: tuple[IssuedTo, ...] = ()


def record_backup(tx: Tx, operator: Operator) -> Done:
    """Record that a backup is about to be taken: it holds everything except the master key."""
    trail.record_everywhere(ActingOperator(tx, operator), Event.BACKED_UP)
    return Done("Recorded.")


def acts_since(_tx: Tx, moment: datetime) -> int:
    """Count what was recorded after a moment."""
    return models.AuditEntry.select().where(models.AuditEntry.at > moment).count()


def carry(tx: Tx) -> Carried:
    """Read what must not be forgotten from the database that will be replaced."""
    installed = models.Installation.select().first()
    accounts, users, factors = models.Account, models.User, models.Factor
    permanent = accounts.select(accounts.name).where(accounts.mode == Mode.PERMANENT.value)
    codes = models.RecoveryCode
    used = codes.select(codes.secret_hash).where(codes.used_at.is_null(False))
    apps = factors.select(factors, users).join(users).where(factors.kind == Method.APP.value)
    return Carried(
        installed.created_at if installed else None,
        frozenset(account.name for account in permanent),
        frozenset(code.secret_hash for code in used),
        {
            (_identity(app.user), app.confirmed_at): (app.last_step, clock_jumps.read_steps(app.barred_steps))
            for app in apps
        },
        {_identity(user): (user.attempts_left, user.locked_at) for user in users.select()},
        tuple(_certificates(tx)),
    )


def _certificates(tx: Tx) -> Iterator[IssuedTo]:
    table, users, authorities = models.Certificate, models.User, models.CertificateAuthority
    live = table.select(table, users, authorities).join(users).switch(table).join(authorities)
    for row in live.where(table.until > tx.now):
        columns = {name: getattr(row, name) for name in _CERTIFICATE}
        yield IssuedTo(_identity(row.user), row.authority.fingerprint, columns)


def has_authority(_tx: Tx) -> bool:
    """Whether any account can issue certificates."""
    return bool(models.CertificateAuthority.select().exists())


def settle(tx: Tx, operator: Operator, carried: Carried, *, taken_at: datetime) -> Done | Denied:
    """Make a database from a backup ready to serve, or return why it may not replace another."""
    if refusal := _leaves_permanence(carried):
        return refusal
    _spend_steps(tx, carried)
    _void(tx)
    if _same_installation(carried):
        _keep_what_was_used(tx, carried)
        _withdraw_later_ones(tx, carried)
    taken = f"{taken_at:%Y-%m-%d %H:%M:%S} UTC"
    trail.record_everywhere(ActingOperator(tx, operator), Event.RESTORED, taken=taken)
    return Done(f"Restored to the state of {taken}.")


def _identity(user: models.User) -> Identity:
    return user.name, user.created_at


def _same_installation(carried: Carried) -> bool:
    return models.Installation.get().created_at == carried.installed_at


def _leaves_permanence(carried: Carried) -> Denied | None:
    accounts = models.Account
    kept = {row.name for row in accounts.select().where(accounts.mode == Mode.PERMANENT.value)}
    if lost := sorted(carried.permanent - kept):
        named = ", ".join(lost)
        return Denied(
            f"Two-factor authentication is permanent for {named}, but not in this backup. Nothing was "
            "changed. Restore a backup in which it is permanent."
        )
    return None


def _spend_steps(tx: Tx, carried: Carried) -> None:
    """Count every time step up to the present as spent, and later steps that are known to be spent."""
    factors = models.Factor
    apps = factors.select(factors, models.User).join(models.User).where(factors.kind == Method.APP.value)
    for app in list(apps):
        known, barred = carried.steps.get((_identity(app.user), app.confirmed_at), (0, frozenset()))
        honest = clock_jumps.last_honest_step(tx.now, app.drift)
        barred |= clock_jumps.read_steps(app.barred_steps)
        factors.update(
            last_step=max(app.last_step, known, honest),
            barred_steps=clock_jumps.write_steps(barred),
            resync_until=None,
            resync_step=None,
        ).where(factors.id == app.id).execute()


def _void(tx: Tx) -> None:
    """End everything that was in progress when the backup was taken; queued messages have since been sent."""
    models.SentCode.update(void=True).execute()
    models.RecoveryCode.delete().where(models.RecoveryCode.expires_at.is_null(False)).execute()
    remove_unpublished()
    sessions = models.Session
    sessions.update(ended_at=tx.now, ended_because=_RESTORED).where(sessions.ended_at.is_null()).execute()
    certificates = models.Certificate
    certificates.update(withdrawn_at=tx.now, withdrawn_because=_WITHDRAWN).where(
        certificates.withdrawn_at.is_null()
    ).execute()
    for table in (
        models.RememberedAddress,
        models.AwaitedMessage,
        models.Notice,
        models.Worker,
    ):
        table.delete().execute()


def _withdraw_later_ones(tx: Tx, carried: Carried) -> None:
    """List certificates that were issued since the backup as withdrawn, also of people who are not in it."""
    table = models.Certificate
    known = {row.serial for row in table.select(table.serial)}
    users = {_identity(user): user.id for user in models.User.select()} if carried.certificates else {}
    authorities = {row.fingerprint: row for row in models.CertificateAuthority.select()}
    for each in carried.certificates:
        serial, authority = each.columns["serial"], authorities.get(each.authority)
        if authority is None or serial in known:
            continue
        if each.user not in users:
            users[each.user] = _tombstone(tx, authority.account_id, f"~{serial}")
        withdrawn = {"withdrawn_at": tx.now, "withdrawn_because": _WITHDRAWN}
        owners = {"user": users[each.user], "authority": authority.id}
        table.insert(each.columns | withdrawn | owners).execute()


def _tombstone(tx: Tx, account_id: int, placeholder: str) -> int:
    """Make the row that is left of a deleted user, for someone who is not in the backup."""
    practice = models.Practice.select().where(models.Practice.account == account_id).first()
    made: int = models.User.insert(
        account=account_id,
        practice=practice.id,
        name=placeholder,
        email=placeholder,
        active=False,
        attempts_left=0,
        created_at=tx.now,
        standing=models.TOMBSTONE,
        standing_since=tx.now,
    ).execute()
    return made


def _keep_what_was_used(tx: Tx, carried: Carried) -> None:
    codes, users = models.RecoveryCode, models.User
    for code in list(codes.select().where(codes.used_at.is_null())):
        if code.secret_hash in carried.used_codes:
            codes.update(used_at=tx.now).where(codes.id == code.id).execute()
            refresh_few_codes(code.user_id)
    for user in list(users.select()):
        left, locked_at = carried.attempts.get(_identity(user), (user.attempts_left, None))
        left, locked_at = min(left, user.attempts_left), user.locked_at or locked_at
        if (left, locked_at) != (user.attempts_left, user.locked_at):
            users.update(attempts_left=left, locked_at=locked_at).where(users.id == user.id).execute()
            refresh_standing_of(user.id, tx.now)
