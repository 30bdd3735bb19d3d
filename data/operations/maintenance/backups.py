"""Backups: recording that one is taken, and restoring one without making anything spent since good again.

What the backup cannot know counts as spent: every time step up to the present, every sent code, every
session, certificate and remembered address. If the replaced database can be read, its knowledge is carried
over: which recovery codes were used, who is locked, which accounts are permanent, which certificates hosts
still accept, and which authority signs them.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from data.operations.actors import ActingOperator, Operator
from data.operations.audit import trail
from data.operations.certificates.authorities import (
    present_authority,
    private_key,
    store_authority,
)
from data.operations.certificates.findings import in_doubt_since
from data.operations.derived_user_columns import refresh_few_codes, refresh_standing_of
from data.operations.results import Denied, Done
from data.operations.users.import_staging import remove_unpublished
from data.rules import clock_jumps
from data.rules.audit_events import Event
from data.rules.domain_types import Method, Mode
from data.storage import models
from data.storage.vault import SealBrokenError
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
class AuthorityOf:
    """An authority of an account; `private` is its key, or None if it cannot be opened."""

    account: str
    fingerprint: str
    private: bytes | None = field(repr=False)
    created_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: whether certificates can be issued, and whether it is known who signs them.

    It is not known if the replaced database was not there to say which authority signed last, or did not
    know it either. `kept` names the accounts whose authority is that of the replaced database, because it was
    rotated or made since.
    """

    issues_certificates: bool
    knows_authorities: bool
    kept: tuple[str, ...]


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
    authorities: tuple[AuthorityOf, ...] = ()
    in_doubt: frozenset[str] = frozenset()
    """Accounts whose authority is itself that of a backup, and may have been rotated after it was taken."""
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
        tuple(_authorities(tx)),
        frozenset(account.name for account in accounts.select() if in_doubt_since(account.id)),
        tuple(_certificates(tx)),
    )


def _authorities(tx: Tx) -> Iterator[AuthorityOf]:
    table = models.CertificateAuthority
    for row in table.select(table, models.Account).join(models.Account).order_by(table.id):
        private = None
        with contextlib.suppress(SealBrokenError):
            private = private_key(tx, row)
        yield AuthorityOf(row.account.name, row.fingerprint, private, row.created_at, row.retired_at)


def _certificates(tx: Tx) -> Iterator[IssuedTo]:
    table, users, authorities = models.Certificate, models.User, models.CertificateAuthority
    live = table.select(table, users, authorities).join(users).switch(table).join(authorities)
    for row in live.where(table.until > tx.now):
        columns = {name: getattr(row, name) for name in _CERTIFICATE}
        yield IssuedTo(_identity(row.user), row.authority.fingerprint, columns)


def settle(tx: Tx, operator: Operator, carried: Carried, *, taken_at: datetime) -> Restored | Denied:
    """Make a database from a backup ready to serve, or return why it may not replace another."""
    if refusal := _leaves_permanence(carried):
        return refusal
    _spend_steps(tx, carried)
    _void(tx)
    kept: tuple[str, ...] = ()
    is_same = _same_installation(carried)
    is_known = is_same and _knows_authorities(carried)
    if is_same:
        _keep_what_was_used(tx, carried)
        kept = tuple(_keep_authorities(tx, carried))
        _withdraw_later_ones(tx, carried)
    taken = f"{taken_at:%Y-%m-%d %H:%M:%S} UTC"
    acting = ActingOperator(tx, operator)
    trail.record_everywhere(acting, Event.RESTORED, taken=taken, knows_authorities=is_known)
    return Restored(bool(models.CertificateAuthority.select().exists()), is_known, kept)


def _keep_authorities(tx: Tx, carried: Carried) -> Iterator[str]:
    """Keep the authorities that are newer than the backup, so that no rotation is undone.

    Yields the accounts whose certificates one of them signs. Where its key cannot be opened, none signs, and
    where the replaced database has retired the backup's, that stays retired.
    """
    table, accounts = models.CertificateAuthority, models.Account
    for account in list(accounts.select().order_by(accounts.name)):
        its = [each for each in carried.authorities if each.account == account.name]
        known = {row.fingerprint for row in table.select().where(table.account == account.id)}
        its_new = [each for each in its if each.fingerprint not in known]
        last = next((each for each in its_new if not each.retired_at), None)
        present = present_authority(account.id)
        retired = {each.fingerprint for each in its if each.retired_at}
        is_former = present is not None and present.fingerprint in retired
        is_newer = last is not None and (
            present is None or is_former or last.created_at >= present.created_at
        )
        if present is not None and (is_newer or is_former):
            table.update(retired_at=tx.now).where(table.id == present.id).execute()
        for each in its_new:
            if each.private is not None and (each.retired_at or is_newer):
                store_authority(tx, account.id, each.private, each.created_at, each.retired_at)
        if last is not None and last.private is not None and is_newer:
            yield account.name


def _knows_authorities(carried: Carried) -> bool:
    """Whether the replaced database says which authority signed last, for each account that has one."""
    table = models.CertificateAuthority
    told = {each.account for each in carried.authorities} - carried.in_doubt
    return all(row.account.name in told for row in table.select(table, models.Account).join(models.Account))


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
