"""Certificates as their users and administrators see them, and withdrawing single ones."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from data.operations.actors import Acting, ActingUser, Actor, resolve
from data.operations.certificates.issuing import why_no_other
from data.operations.certificates.withdrawal import is_live, withdraw_by
from data.operations.guards import require_user, why_not
from data.operations.results import Denied, Done, Refused
from data.rules.certificate_issuing import TURNED_OFF, CodeInSession, MayNotHave, judge
from data.rules.domain_types import FirstFactor
from data.rules.permissions import Action
from data.rules.user_fields import fold_username
from data.storage import models
from data.store import Tx

_BY_ADMIN: Final = "by an administrator"
_BY_ONESELF: Final = "by its user"
_NOT_FOUND: Final = Denied("The certificate was not found. List the certificates to see their serials.")
_ANY_CODE: Final = CodeInSession(fresh=True, temporary=False, relies_on_address=False)


class State(StrEnum):
    """Whether hosts accept a certificate."""

    LIVE = "live"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate, without its key. Those that ended longer ago than a week are only in the audit log."""

    serial: int
    user: str
    key_id: str
    fingerprint: str
    principals: tuple[str, ...]
    source_addresses: tuple[str, ...]
    issued_at: datetime
    until: datetime
    state: State
    withdrawn_at: datetime | None
    withdrawn_because: str


@dataclass(frozen=True, slots=True)
class CertificatePage:
    """A page of certificates, the one that ends last first; `more` says whether a page follows."""

    rows: tuple[CertificateRow, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class OwnCertificates:
    """One's own live certificates, and why no other one is issued; empty if one is, after a fresh code.

    `by_key` says that the session was opened with a key, for which one is issued.
    """

    rows: tuple[CertificateRow, ...]
    refusal: str
    by_key: bool

    @property
    def are_shown(self) -> bool:
        """Whether there is something to see or to do."""
        return bool(self.rows) or self.refusal != TURNED_OFF


@require_user()
def own_certificates(me: ActingUser) -> OwnCertificates:
    """Read the actor's own live certificates."""
    verdict = judge(me.policy, me.facts, me.user.account.certificate_hours, _ANY_CODE)
    refusal = verdict.reason if isinstance(verdict, MayNotHave) else ""
    if not refusal and (denied := why_no_other(me)):
        refusal = denied.message
    by_key = me.session.first_factor == FirstFactor.KEY.value
    return OwnCertificates(live_certificates_of(me.tx, me.user.id), refusal, by_key)


def live_certificates_of(tx: Tx, user_id: int) -> tuple[CertificateRow, ...]:
    """Read the live certificates of a user, who has few."""
    table = models.Certificate
    joined = table.select(table, models.User).join(models.User)
    found = _ordered(joined.where(table.user == user_id, is_live(tx)))
    return tuple(_row(tx, row) for row in list(found))


def list_certificates(
    tx: Tx,
    actor: Actor,
    *,
    user: str | None = None,
    ended: bool = False,
    before: CertificateRow | None = None,
    limit: int = 50,
) -> CertificatePage | Refused:
    """Read the live certificates of the account, or of `user`; with `ended`, also those that are not.

    Whoever may not see people reads their own. `before` is the last row of the page before.
    """
    acting = resolve(tx, actor)
    if not isinstance(acting, Acting):
        return acting
    refusal = why_not(acting, Action.SEE_PEOPLE)
    mine = acting.user.name if acting.user else None
    name = fold_username(user) if user is not None else None
    if refusal and (_is_restricted(acting) or name not in (None, mine)):
        return refusal
    if refusal:
        name = mine
    table, found = models.Certificate, _of_account(acting)
    if name is not None:
        whose = models.User.get_or_none(
            (models.User.name == name) & (models.User.account == acting.account_id)
        )
        if whose is None:
            return Denied("The user was not found.")
        found = found.where(table.user == whose.id)
    if not ended:
        found = found.where(is_live(tx))
    if before is not None:
        later = (table.until == before.until) & (table.serial < before.serial)
        found = found.where((table.until < before.until) | later)
    rows = list(_ordered(found).limit(limit + 1))
    return CertificatePage(tuple(_row(tx, row) for row in rows[:limit]), len(rows) > limit)


def withdraw_certificate(tx: Tx, actor: Actor, serial: int) -> Done | Refused:
    """Withdraw a certificate: one's own, or for those who manage people any of the account."""
    acting = resolve(tx, actor)
    if not isinstance(acting, Acting):
        return acting
    refusal = why_not(acting, Action.MANAGE_PEOPLE)
    if refusal and _is_restricted(acting):
        return refusal
    found = _of_account(acting).where(models.Certificate.serial == serial).get_or_none()
    is_mine = found is not None and acting.user is not None and found.user_id == acting.user.id
    if refusal and not is_mine:
        return _NOT_FOUND if why_not(acting, Action.SEE_PEOPLE) else refusal
    if found is None:
        return _NOT_FOUND
    if (state := _row(tx, found).state) is not State.LIVE:
        return Denied(f"The certificate was not withdrawn: it is {state.value} already.")
    withdraw_by(
        acting, found.user, _BY_ONESELF if is_mine else _BY_ADMIN, models.Certificate.serial == serial
    )
    return Done(f"Certificate {serial} of {found.user.name} withdrawn.")


def count_live_certificates(tx: Tx, account_id: int) -> int:
    """Count the live certificates of an account."""
    table, authority = models.Certificate, models.CertificateAuthority
    ours = authority.select(authority.id).where(authority.account == account_id)
    return int(table.select().where(table.authority.in_(ours), is_live(tx)).count())


def _is_restricted(acting: Acting) -> bool:
    return acting.session is not None and acting.session.restricted


def _of_account(acting: Acting) -> Any:
    table = models.Certificate
    joined = table.select(table, models.User).join(models.User)
    kept = models.User.standing != models.TOMBSTONE
    return joined.where(models.User.account == acting.account_id, kept)


def _ordered(found: Any) -> Any:
    table = models.Certificate
    return found.order_by(table.until.desc(), table.serial.desc())


def _row(tx: Tx, row: models.Certificate) -> CertificateRow:
    state = State.LIVE
    if row.until <= tx.now:
        state = State.ENDED
    elif row.withdrawn_at is not None:
        state = State.WITHDRAWN
    return CertificateRow(
        serial=row.serial,
        user=row.user.name,
        key_id=row.key_id,
        fingerprint=row.fingerprint,
        principals=tuple(row.principals.split()),
        source_addresses=tuple(row.source_addresses.split()),
        issued_at=row.issued_at,
        until=row.until,
        state=state,
        withdrawn_at=row.withdrawn_at,
        withdrawn_because=row.withdrawn_because,
    )
