"""Jumps: channels to targets, from what a client asks for to what was carried.

The server finds the target, resolves and checks its host once, and dials the address that it checked. It
opens a jump for it, counts while it lasts, and closes it; it asks every few seconds which ones must end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from data.operations.actors import ActingUser, Actor, Member, origin_of, resolve
from data.operations.audit import trail
from data.operations.results import Denied, SessionOver
from data.operations.targets.usable import usable_targets, why_not_jump, why_unreachable
from data.rules import targets as rules
from data.rules.audit_events import Event
from data.rules.target_addresses import why_not_address
from data.storage import models
from data.store import Tx

ENDED: Final = "The session is over."
_GRACE = timedelta(minutes=1)
"""How long after its session a jump is its server's to close."""
_NUMBER_BYTES = 4
_AT_ONCE = 10_000
"""Jumps that one statement asks about: well below the number of values that a database accepts."""


@dataclass(frozen=True, slots=True)
class JumpTarget:
    """A target that a user may reach; `host` is what the server resolves."""

    id: int
    name: str
    host: str
    port: int
    by_operator: bool


class NotAmongTargets(Denied):
    """What a client asked for is none of its user's targets: a wrong name, or one of very many guesses."""

    __slots__ = ()


def find_target(tx: Tx, actor: Actor, host: str, port: int) -> JumpTarget | Denied:
    """Return the target that a client means by a host and port; a denial is what `ssh` shows.

    They are compared as text with the names and hosts of the user's targets, and resolved by nobody. A name
    goes before a host, and of several hosts that are the same the operator's goes first.
    """
    me = _jumping(tx, actor)
    if isinstance(me, Denied):
        return me
    target = models.Target
    name, folded = rules.fold_name(host) or "", rules.fold_host(host) or ""
    asked = (target.port == port) & ((target.name == name) | (target.host == folded))
    found = list(usable_targets(me).where(asked))
    if not found:
        reachable = ((row.name, row.port) for row in usable_targets(me) if not why_unreachable(tx, row))
        return NotAmongTargets(rules.not_among(host, port, islice(reachable, rules.LISTED + 1)))
    return _jump_target(min(found, key=lambda row: (row.name != name, not row.by_operator, row.name)))


def open_jump(tx: Tx, actor: Actor, target: JumpTarget, address: str) -> int | Denied:
    """Record that a channel to a target was opened to an address; return the jump's number.

    Everything is decided again but which addresses are the server's own, which the caller has looked at.
    """
    me = _jumping(tx, actor)
    if isinstance(me, Denied):
        return me
    row = usable_targets(me).where(models.Target.id == target.id).first()
    if row is None or _jump_target(row) != target:
        return Denied(_no_longer(target.name))
    networks = tx.services.forwarding
    if reason := why_not_address(address, by_operator=row.by_operator, networks=networks, own=()):
        return Denied(f"{row.name} is {address}, which {reason}.")
    jump_id = _new_number(tx)
    models.Jump.insert(
        id=jump_id,
        session=me.session.id,
        target=row.id,
        name=row.name,
        address=address,
        port=row.port,
        opened_at=tx.now,
    ).execute()
    trail.record(
        me, Event.JUMP_OPENED, me.user.name, target=row.name, address=address, port=row.port, jump=jump_id
    )
    return jump_id


def _new_number(tx: Tx) -> int:
    """Draw a number: SQLite gives that of the last row again once it is deleted, and the audit log has it."""
    while True:
        drawn = int.from_bytes(tx.services.random_bytes(_NUMBER_BYTES)) >> 1
        if drawn and not models.Jump.select().where(models.Jump.id == drawn).exists():
            return drawn


def note_bytes(_tx: Tx, carried: Mapping[int, tuple[int, int]]) -> None:
    """Keep how many bytes open jumps have carried so far: from the client, and from the target."""
    table = models.Jump
    for jump_id, (sent, received) in sorted(carried.items()):
        table.update(sent=sent, received=received).where(table.id == jump_id).execute()


def close_jump(tx: Tx, jump_id: int, sent: int, received: int, because: str) -> None:
    """Record that a channel was closed, what it carried, and why; the first record counts."""
    for row in _with_users(models.Jump.id == jump_id):
        _close(tx, row, sent, received, because)


def has_abandoned(tx: Tx) -> bool:
    """Return whether `close_abandoned` has anything to do; this reads, and waits for no one who writes."""
    joined = models.Jump.select(models.Jump.id).join(models.Session)
    return bool(joined.where(_abandoned(tx)).exists())


def close_abandoned(tx: Tx) -> int:
    """Record the end of jumps whose session is over, and that their server, being gone, has not closed.

    Return how many there were. What they carried in their last seconds is not known.
    """
    rows = _with_users(_abandoned(tx))
    for row in rows:
        _close(tx, row, row.sent, row.received, "the server that held it is gone")
    return len(rows)


def jumps_to_close(tx: Tx, jump_ids: Iterable[int]) -> dict[int, str]:
    """Return which of these open jumps must be closed now, each with the reason."""
    asked = sorted(set(jump_ids))
    rows = [row for start in range(0, len(asked), _AT_ONCE) for row in _rows(asked[start : start + _AT_ONCE])]
    over = dict.fromkeys(set(asked) - {row.id for row in rows}, ENDED)
    by_session: dict[int, list[models.Jump]] = {}
    for row in rows:
        by_session.setdefault(row.session_id, []).append(row)
    for session_id, jumps in by_session.items():
        me = _jumping(tx, Member(session_id))
        if isinstance(me, Denied):
            over |= {row.id: me.message for row in jumps}
            continue
        usable = {row.id for row in usable_targets(me).where(models.Target.id.in_(_targets_of(jumps)))}
        over |= {row.id: _no_longer(row.name) for row in jumps if row.target_id not in usable}
    return over


def _jumping(tx: Tx, actor: Actor) -> ActingUser | Denied:
    """Look up who wants to jump, or has; a denial says why they may not, and what to do."""
    me = resolve(tx, actor)
    if isinstance(me, SessionOver):
        return Denied(me.message or ENDED)
    if isinstance(me, Denied):
        return me
    if not isinstance(me, ActingUser):
        return Denied("Only users jump to targets.")
    ssh = tx.services.ssh
    reason = why_not_jump(me, ssh.command(me.user.name) if ssh else "sign in over SSH, without -J.")
    return me if reason is None else Denied(reason)


def _rows(jump_ids: list[int]) -> list[models.Jump]:
    table = models.Jump
    return list(table.select().where(table.id.in_(jump_ids)))


def _targets_of(jumps: Iterable[models.Jump]) -> list[int]:
    return sorted({row.target_id for row in jumps if row.target_id is not None})


def _with_users(which: Any) -> list[Any]:
    """Read jumps with their sessions and the users of those, a bounded number at once."""
    table, session, user = models.Jump, models.Session, models.User
    joined = table.select(table, session, user).join(session).join(user)
    return list(joined.where(which).order_by(table.id).limit(_AT_ONCE))


def _abandoned(tx: Tx) -> Any:
    """Match jumps whose session is over, and whose worker is gone or has had the time to close them."""
    session = models.Session
    longest = tx.now - tx.services.longest_session - _GRACE
    is_gone = session.worker.not_in(models.Worker.select(models.Worker.id))  # Never true of no worker.
    return (
        (session.ended_at <= tx.now - _GRACE)
        | (session.started_at <= longest)
        | (session.ended_at.is_null(False) & is_gone)
    )


def _close(tx: Tx, row: models.Jump, sent: int, received: int, because: str) -> None:
    if not models.Jump.delete().where(models.Jump.id == row.id).execute():
        return
    trail.write_own(
        tx,
        Event.JUMP_CLOSED,
        row.session.user,
        origin_of(row.session),
        target=row.name,
        seconds=int((tx.now - row.opened_at).total_seconds()),
        sent=sent,
        received=received,
        reason=because,
        jump=row.id,
    )


def _jump_target(row: models.Target) -> JumpTarget:
    return JumpTarget(row.id, row.name, row.host, row.port, row.by_operator)


def _no_longer(name: str) -> str:
    return f"{name} is no longer among your targets."
