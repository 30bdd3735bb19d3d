"""Appending to the audit log: every row goes to the end of the writing process's chain."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from data.operations.actors import Actor, Operator
from data.operations.guards import authorise
from data.operations.results import Denied, Refused, SessionOver
from data.operations.secret_sealing import seal_at
from data.rules.audit_chain import KEY_BYTES, START, Head, next_head
from data.rules.permissions import Action
from data.storage import models
from data.storage.postgresql_connection import Repeated, Unanswered
from data.store import Tx

OLDER = "older"
"""The chain of rows that were written before chains existed."""
_AT_ONCE = 100
"""Rows written by one statement."""

# Every act and sign-in runs these, so they are built only once.
_OPEN = Repeated(
    "SELECT c.seq, c.mac, k.epoch, k.after_seq, k.after_mac, k.sealed_key FROM audit_chain c "
    "JOIN audit_chain_key k ON k.chain = c.name AND k.epoch = c.epoch WHERE c.name = ?"
)
_INSERT = (
    'INSERT INTO audit_entry (at, account_id, event, actor, "user", application, address, detail, '
    "chain, seq, mac) VALUES "
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_ONE = Unanswered(_INSERT + _ROW)
_MOVE = Unanswered("UPDATE audit_chain SET seq = ?, mac = ? WHERE name = ?")
_LINK = "UPDATE audit_entry SET chain = ?, seq = ?, mac = ? WHERE id = ?"


class Columns(NamedTuple):
    """The content of a row, in the order in which the chain covers it; `at` counts microseconds."""

    at: int
    account: int | None
    event: str
    actor: str
    user: str | None
    application: str
    address: str
    detail: str


def columns_of(table: type[models.AuditEntry]) -> list[Any]:
    """Return the names of `Columns` in the table."""
    return [getattr(table, name) for name in Columns._fields]


def append(tx: Tx, rows: Iterable[Columns]) -> None:
    """Write rows to the end of this process's chain, within the act's own transaction."""
    head, key = _open_chain(tx, tx.services.chain)
    linked = _linked(key, head, rows)
    while batch := list(islice(linked, _AT_ONCE)):
        head = batch[-1][1]
        _insert(tx, [(*row, new.chain, new.seq, new.mac) for row, new in batch])
    _move(tx, head)


def heads(tx: Tx, actor: Actor) -> list[Head] | Refused:
    """Read where every chain ends now; a copy kept elsewhere later shows whether anything was cut off."""
    if refused := may_not_look(tx, actor):
        return refused
    table = models.AuditChain
    return [Head(row.name, row.seq, row.mac) for row in table.select().order_by(table.name)]


def may_not_look(tx: Tx, actor: Actor) -> Denied | SessionOver | None:
    """Return why someone may not read the chains, which cover the whole installation; None if they may."""
    if isinstance(actor, Operator):
        return None
    acting = authorise(tx, actor, Action.SEE_PEOPLE)
    return acting if isinstance(acting, Denied | SessionOver) else None


def adopt_older(tx: Tx) -> int:
    """Put the rows that were written before chains existed into one, oldest first; return how many."""
    table = models.AuditEntry
    older = table.mac.is_null()
    if not table.select().where(older).exists():
        return 0
    head, key = _open_chain(tx, OLDER)
    query = table.select(table.id, *columns_of(table)).order_by(table.id).limit(_AT_ONCE)
    after = 0
    while rows := raw(query.where(older & (table.id > after))):
        for row in rows:
            head = next_head(key, head, row[1:])
            _execute(tx, _LINK, (head.chain, head.seq, head.mac, row[0]))
        after = rows[-1][0]
    _move(tx, head)
    return head.seq


def raw(query: Any) -> list[tuple[Any, ...]]:
    """Run a query and return the stored values, without converting numbers to moments."""
    return list(models.database.execute_sql(*query.sql()))


def key_place(chain: str, epoch: int, after_seq: int, after_mac: str) -> str:
    """Return the place that a chain's key is bound to: this epoch of this chain, from this row on."""
    return f"audit:{chain}:epoch:{epoch}:after:{after_seq}:{after_mac}"


def cut_place(head: Head) -> str:
    """Return the place that the seal of a cut after this row is bound to."""
    return f"audit:{head.chain}:cut:{head.seq}:{head.mac}"


def _open_chain(tx: Tx, name: str) -> tuple[Head, bytes]:
    """Read where a chain ends and open its current key; start a new chain if there is none."""
    found = _execute(tx, _OPEN, (name,)).fetchall()
    if not found:
        return _begin_chain(tx, name)
    seq, mac, epoch, after_seq, after_mac, sealed = found[0]
    place = key_place(name, epoch, after_seq, after_mac)
    return Head(name, seq, mac), tx.services.vault.open_at(place, bytes(sealed))


def _begin_chain(tx: Tx, name: str) -> tuple[Head, bytes]:
    key = secrets.token_bytes(KEY_BYTES)
    sealed = seal_at(tx, key_place(name, 0, 0, START), key)
    models.AuditChain.insert(name=name, seq=0, mac=START, epoch=0).execute()
    models.AuditChainKey.insert(
        chain=name, epoch=0, after_seq=0, after_mac=START, sealed_key=sealed
    ).execute()
    return Head(name, 0, START), key


def _move(tx: Tx, head: Head) -> None:
    _execute(tx, _MOVE, (head.seq, head.mac, head.chain))


def _linked(key: bytes, head: Head, rows: Iterable[Columns]) -> Iterator[tuple[Columns, Head]]:
    for row in rows:
        head = next_head(key, head, row)
        yield row, head


def _insert(tx: Tx, rows: Sequence[tuple[str | int | None, ...]]) -> None:
    """Insert rows by one statement: an import of users writes many at once."""
    statement = _INSERT_ONE if len(rows) == 1 else _INSERT + ", ".join([_ROW] * len(rows))
    _execute(tx, statement, [value for row in rows for value in row])


def _execute(tx: Tx, statement: str, values: Sequence[str | int | None]) -> Any:
    """Run a statement of this module; each `?` marks a value, whatever the database's own syntax."""
    execute: Callable[..., Any] = tx.database.execute_sql
    return execute(type(statement)(statement.replace("?", tx.database.param)), values)
