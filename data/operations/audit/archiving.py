"""Archiving the audit log: old rows go to a file, and a sealed cut in the database says where they ended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from peewee import fn

from data.operations.actors import ActingOperator
from data.operations.audit import trail
from data.operations.audit.chain import cut_place
from data.operations.audit.verification import (
    Fault,
    Plan,
    Position,
    Row,
    Stretch,
    Wrong,
    follow,
    last_cut,
    next_rows,
    sealed_cuts,
)
from data.operations.guards import require_operator
from data.operations.results import Denied, Done
from data.operations.secret_sealing import seal_at
from data.rules.audit_chain import Head
from data.rules.audit_events import Event
from data.storage import models
from data.store import Tx

_OPERATOR_ONLY = Denied("Only the operator on the host can archive the audit log.")
_CHANGED_MEANWHILE = Denied("Someone else archived the log in the meantime. Start again.")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to archive, and how far they reach."""

    rows: list[Row]
    position: Position


@require_operator(_OPERATOR_ONLY)
def plan_archive(acting: ActingOperator, before: datetime) -> Plan | Denied:
    """Choose the rows to archive: in each chain, those before the first that is as recent as `before`."""
    chains = models.AuditChain.select().order_by(models.AuditChain.name)
    stretches = [_older(acting.tx, Head(row.name, row.seq, row.mac), before) for row in chains]
    found = tuple(
        stretch for stretch in stretches if stretch is not None and (stretch.rows or stretch.before)
    )
    return Plan(found, None) if found else Denied("There are no rows older than that.")


@require_operator(_OPERATOR_ONLY)
def read_batch(acting: ActingOperator, stretch: Stretch, position: Position) -> Batch | Fault:
    """Read the next rows to archive; a faulty row is not archived."""
    rows = next_rows(stretch, position)
    reached = follow(acting.tx, stretch, position, rows)
    return reached if isinstance(reached, Fault) else Batch(rows, reached)


@require_operator(_OPERATOR_ONLY)
def cut(acting: ActingOperator, stretches: Sequence[Stretch], before: datetime) -> Done | Denied:
    """Seal where each chain is cut, and remove the rows up to there, which are already safe elsewhere."""
    for stretch in stretches:
        if last_cut(acting.tx, stretch.end.chain) != stretch.begin:
            return _CHANGED_MEANWHILE
    count = sum(stretch.rows for stretch in stretches)
    trail.record_everywhere(acting, Event.LOG_ARCHIVED, count=count, before=before.date().isoformat())
    table, tx = models.AuditEntry, acting.tx
    for stretch in stretches:
        end = stretch.end
        seal = seal_at(tx, cut_place(end), b"")
        models.AuditCut.insert(chain=end.chain, seq=end.seq, mac=end.mac, made_at=tx.now, seal=seal).execute()
        table.delete().where((table.chain == end.chain) & (table.seq <= end.seq)).execute()
    return Done(f"{count} row{'' if count == 1 else 's'} moved to the archive.")


@require_operator(_OPERATOR_ONLY)
def plan_archive_verification(
    acting: ActingOperator, stretches: Sequence[Stretch], exported: Sequence[Head] = ()
) -> Plan:
    """Compare where an archive says it begins and ends with the sealed cuts."""
    return Plan(tuple(_judged(acting.tx, stretch, exported) for stretch in stretches), None)


@require_operator(_OPERATOR_ONLY)
def verify_archived(
    acting: ActingOperator, stretch: Stretch, position: Position, rows: Sequence[Row]
) -> Position | Fault:
    """Follow a chain over rows from an archive, as far as they are valid."""
    return follow(acting.tx, stretch, position, rows)


def _older(tx: Tx, head: Head, before: datetime) -> Stretch | None:
    begin = last_cut(tx, head.chain)
    if isinstance(begin, Fault):
        return Stretch(head, head, before=begin)
    table = models.AuditEntry
    mine = (table.chain == head.chain) & (table.seq > begin.seq)
    young = table.select(fn.MIN(table.seq)).where(mine & (table.at >= before)).scalar()
    seq = head.seq if young is None else young - 1
    last = table.get_or_none(mine & (table.seq == seq))
    return Stretch(begin, Head(head.chain, seq, last.mac or "")) if last is not None else None


def _judged(tx: Tx, stretch: Stretch, exported: Sequence[Head]) -> Stretch:
    chain = stretch.end.chain
    cuts = sealed_cuts(tx, chain)
    if isinstance(cuts, Fault):
        return replace(stretch, before=cuts)
    within = frozenset(
        head for head in exported if head.chain == chain and stretch.begin.seq < head.seq <= stretch.end.seq
    )
    unsealed = next((head for head in (stretch.begin, stretch.end) if head not in cuts), None)
    fault = Fault(chain, unsealed.seq, Wrong.CUT) if unsealed else None
    return replace(stretch, named=within, before=fault)
