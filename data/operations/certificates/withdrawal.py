"""Withdrawing certificates, so that hosts refuse them before they end.

Any operation that takes away what a certificate relies on withdraws it in its own transaction.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from peewee import fn

from data.operations.actors import Acting
from data.operations.audit import trail
from data.operations.certificates.effective_principals import principals_of_all
from data.rules.audit_events import Event
from data.rules.source_addresses import ON_HOST, Origin
from data.storage import models
from data.store import Tx

_AT_ONCE = 500
"""Rows that one statement names."""
_SERIALS_RECORDED = 100
_ACTOR = "system:certificates"
_RESERVED = "a principal was reserved"


@dataclass(frozen=True, slots=True)
class WithdrawalPreview:
    """How many certificates an act will withdraw that hosts accept now."""

    certificates: int


def withdraw(tx: Tx, user_id: int, because: str, which: Any = True) -> int:
    """Withdraw the certificates of a user that have not ended, and meet a condition; return how many.

    `withdraw_by` and `withdraw_own` also record it.
    """
    return len(_withdraw_of(tx, user_id, because, which))


def withdraw_by(acting: Acting, user: models.User, because: str, which: Any = True) -> str:
    """Do as `withdraw`, and record it.

    Returns the sentence for whoever did what led to it, after a space; empty if there was none.
    """
    return _recorded(acting, user.name, because, _withdraw_of(acting.tx, user.id, because, which))


def withdraw_own(tx: Tx, user: models.User, origin: Origin, because: str) -> None:
    """Do as `withdraw`, and record it as what the user did."""
    if serials := _withdraw_of(tx, user.id, because):
        trail.write_own(tx, Event.CERTIFICATES_WITHDRAWN, user, origin, **_detail(because, serials))


def withdraw_where(acting: Acting, because: str, which: Any) -> str:
    """Do as `withdraw_by` for the certificates of all users of the account that meet a condition."""
    table = models.Certificate
    found = table.select(table.serial).where(is_live(acting.tx), which)
    return _recorded(
        acting, None, because, _withdraw_these(acting.tx, [row.serial for row in found], because)
    )


def withdraw_unentitled(acting: Acting, users: Any, because: str, *, user: models.User | None = None) -> str:
    """Do as `withdraw_by` for certificates with a principal that their user does not have.

    `users` is a condition on users, and `user` the one if it is a single one.
    """
    serials = unentitled(acting.tx, users)
    _withdraw_these(acting.tx, serials, because)
    return _recorded(acting, user.name if user else None, because, serials)


def withdraw_reserved(tx: Tx) -> None:
    """Withdraw, in all accounts, the certificates with a principal that was reserved since, and record it.

    The settings reserve names, which no operation changes, so every server does this before it serves.
    """
    for account in list(models.Account.select().order_by(models.Account.id)):
        if serials := reserved_since(tx, account.id):
            _withdraw_these(tx, serials, _RESERVED)
            detail = _detail(_RESERVED, serials)
            event = Event.CERTIFICATES_WITHDRAWN
            trail.write(tx, event, ON_HOST, account_id=account.id, actor=_ACTOR, user=None, **detail)


def reserved_since(tx: Tx, account_id: int) -> list[int]:
    """Return the serials of an account's live certificates with a principal that was reserved since."""
    users, reserved = models.User, list(tx.services.reserved_principals)

    def owners(table: Any, owner: Any) -> Any:
        # The names are compared as they are folded in the settings.
        return table.select(owner).where(~table.by_operator, fn.FOLD(table.principal).in_(reserved))

    own, shared = models.UserPrincipal, models.PracticePrincipal
    may_bear = (
        users.name.in_(reserved)
        | users.id.in_(owners(own, own.user))
        | users.practice.in_(owners(shared, shared.practice))
    )
    return unentitled(tx, (users.account == account_id) & may_bear)


def unentitled(
    tx: Tx,
    users: Any,
    *,
    without: models.UserPrincipal | models.PracticePrincipal | None = None,
    moved_to: models.Practice | None = None,
) -> list[int]:
    """Return the serials of live certificates with a principal that their users do not have.

    `users` is a condition on users, `without` a principal that counts as removed, and `moved_to` a practice
    that they count as being in.
    """
    table = models.Certificate
    joined = table.select(table.serial, table.principals, models.User).join(models.User)
    rows = list(joined.where(users, is_live(tx)).order_by(table.serial))
    serials: list[int] = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        if moved_to is not None:
            for row in some:
                row.user.practice = moved_to
        entitled = principals_of_all(tx, list({row.user_id: row.user for row in some}.values()), without)
        serials += [row.serial for row in some if not set(row.principals.split()) <= entitled[row.user_id]]
    return serials


def count_live(tx: Tx, which: Any) -> int:
    """Count the certificates that hosts accept and that meet a condition."""
    return int(models.Certificate.select().where(is_live(tx), which).count())


def count_live_of_sessions(tx: Tx, session_ids: Collection[int]) -> dict[int, int]:
    """Count the certificates that hosts accept by the session that they were obtained in."""
    table = models.Certificate
    counted = table.select(table.session, fn.COUNT(table.serial)).where(
        table.session.in_(list(session_ids)), is_live(tx)
    )
    rows: Iterable[tuple[int, int]] = counted.group_by(table.session).tuples().iterator()
    return dict(rows)


def _withdraw_of(tx: Tx, user_id: int, because: str, which: Any = True) -> list[int]:
    table = models.Certificate
    found = table.select(table.serial).where((table.user == user_id) & is_live(tx), which)
    return _withdraw_these(tx, [row.serial for row in found], because)


def is_live(tx: Tx) -> Any:
    """Return the condition that hosts accept a certificate."""
    table = models.Certificate
    return (table.until > tx.now) & table.withdrawn_at.is_null()


def _withdraw_these(tx: Tx, serials: list[int], because: str) -> list[int]:
    table = models.Certificate
    for start in range(0, len(serials), _AT_ONCE):
        some = serials[start : start + _AT_ONCE]
        table.update(withdrawn_at=tx.now, withdrawn_because=because).where(table.serial.in_(some)).execute()
    return serials


def _recorded(acting: Acting, username: str | None, because: str, serials: Collection[int]) -> str:
    if not serials:
        return ""
    trail.record(acting, Event.CERTIFICATES_WITHDRAWN, username, **_detail(because, serials))
    count = len(serials)
    return f" {count} certificate{'' if count == 1 else 's'} withdrawn."


def _detail(because: str, serials: Collection[int]) -> dict[str, object]:
    named = list(serials)[:_SERIALS_RECORDED]
    return {"count": len(serials), "reason": because, "serials": ", ".join(map(str, named))}
