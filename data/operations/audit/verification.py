"""Verifying the audit log: every row from the first to the head, in batches next to other work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from data.operations.actors import Actor
from data.operations.audit.chain import columns_of, cut_place, key_place, may_not_look, raw
from data.operations.results import Denied, Refused, SessionOver
from data.rules.audit_chain import START, Head, next_head
from data.storage import models
from data.storage.vault import SealBrokenError
from data.store import Store, Tx

BATCH = 2_000
"""Rows that one transaction reads."""

Row = tuple[Any, ...]
"""The ID, the number and the code of a row, then its columns as the chain covers them."""
Told = Callable[[int], None]
"""Called with how many more rows were checked."""


class Wrong(Enum):
    """What can be wrong with a row, in words that follow its name."""

    CHANGED = "was changed, or is not where it was written"
    MOVED = "was moved: it comes before an earlier row"
    REMOVED = "was removed"
    CUT_OFF = "was cut off at the end, with everything after it"
    ADDED = "was put there by something other than Twofold"
    OTHER = "does not match an exported head"
    KEY = "cannot be verified: the key of its chain was changed"
    CUT = "ends a cut that was not made with the master key"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first faulty row of a chain; for a row in no chain, `seq` is its ID."""

    chain: str | None
    seq: int
    wrong: Wrong

    @property
    def sentence(self) -> str:
        """The row and what is wrong with it; a chain's name may be a foreign string."""
        if self.chain is None:
            return f"The row with the ID {self.seq} is not in any chain: it {self.wrong.value}."
        return f"Row {self.seq} of chain {self.chain} {self.wrong.value}."


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows of a chain to verify: after one head, up to another.

    `named` are exported heads within the stretch. `before` and `behind` are faults that the rows
    themselves do not show.
    """

    begin: Head
    end: Head
    named: frozenset[Head] = frozenset()
    before: Fault | None = None
    behind: Fault | None = None

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return self.end.seq - self.begin.seq


@dataclass(frozen=True, slots=True)
class Plan:
    """What to verify, and a row that is in no chain."""

    stretches: tuple[Stretch, ...]
    stranger: Fault | None

    @property
    def rows(self) -> int:
        """How many rows to check."""
        return sum(stretch.rows for stretch in self.stretches)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a chain was verified: its head there, and the ID of the last row."""

    head: Head
    row_id: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """A verified chain: how many rows were archived and verified, its head, and its first fault."""

    head: Head
    archived: int
    rows: int
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying."""

    chains: tuple[Checked, ...]
    stranger: Fault | None

    @property
    def rows(self) -> int:
        """How many rows were verified."""
        return sum(chain.rows for chain in self.chains)

    @property
    def faults(self) -> list[Fault]:
        """The first fault of each chain; none if the log is as it was written."""
        found = [*(chain.fault for chain in self.chains), self.stranger]
        return [fault for fault in found if fault is not None]


async def verify(store: Store, actor: Actor, plan: Plan, told: Told) -> Verification | Refused:
    """Verify what was planned; rows written or archived in the meantime do not matter."""
    checked: list[Checked] = []
    for stretch in plan.stretches:
        position, fault = Position(stretch.begin), stretch.before
        while fault is None and position.head.seq < stretch.end.seq:
            result = await store.read(verify_batch, actor, stretch, position)
            if isinstance(result, Denied | SessionOver):
                return result
            if isinstance(result, Fault):
                fault = result
            else:
                told(result.head.seq - position.head.seq)
                position = result
        rows = position.head.seq - stretch.begin.seq
        checked.append(Checked(stretch.end, stretch.begin.seq, rows, fault or stretch.behind))
    return Verification(tuple(checked), plan.stranger)


def plan_verification(tx: Tx, actor: Actor, exported: Sequence[Head] = ()) -> Plan | Refused:
    """Plan which rows to verify now, against earlier exported heads."""
    if refused := may_not_look(tx, actor):
        return refused
    chains = models.AuditChain
    ends = [Head(row.name, row.seq, row.mac) for row in chains.select().order_by(chains.name)]
    stretches = [_stretch(tx, end, [head for head in exported if head.chain == end.chain]) for end in ends]
    known = {end.chain for end in ends}
    gone = sorted({head.chain for head in exported} - known)
    stretches += [
        Stretch(Head(name, 0, START), Head(name, 0, START), behind=Fault(name, 1, Wrong.CUT_OFF))
        for name in gone
    ]
    return Plan(tuple(stretches), _stranger(sorted(known)))


def verify_batch(
    tx: Tx, actor: Actor, stretch: Stretch, position: Position, *, limit: int = BATCH
) -> Position | Fault | Refused:
    """Verify the next rows of a stretch; return how far they are valid, or the first fault."""
    if refused := may_not_look(tx, actor):
        return refused
    cut = last_cut(tx, stretch.end.chain)
    if isinstance(cut, Fault):
        return cut
    if cut.seq > position.head.seq:
        return replace(position, head=stretch.end if cut.seq >= stretch.end.seq else cut)
    return follow(tx, stretch, position, next_rows(stretch, position, limit))


def next_rows(stretch: Stretch, position: Position, limit: int = BATCH) -> list[Row]:
    """Read the next rows of a chain, each with its ID, number, code and columns."""
    table = models.AuditEntry
    mine = table.chain == stretch.end.chain
    return raw(
        table.select(table.id, table.seq, table.mac, *columns_of(table))
        .where(mine & (table.seq > position.head.seq) & (table.seq <= stretch.end.seq))
        .order_by(table.seq, table.id)
        .limit(limit)
    )


def follow(tx: Tx, stretch: Stretch, position: Position, rows: Sequence[Row]) -> Position | Fault:
    """Follow a chain over its next rows, from any source, as far as they are valid."""
    keys = _keys(tx, stretch.end.chain)
    return keys if isinstance(keys, Fault) else _walk(keys, stretch, position, rows)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of a chain, newest first, each with the row after which it begins."""

    begins: tuple[tuple[int, bytes], ...] = field(repr=False)
    ends: frozenset[tuple[int, str]]
    """The rows that ended an epoch, with their codes."""

    def key_behind(self, seq: int) -> bytes:
        return next(key for begin, key in self.begins if begin <= seq)


def _keys(tx: Tx, chain: str) -> _Keys | Fault:
    table = models.AuditChainKey
    begins: list[tuple[int, bytes]] = []
    ends: set[tuple[int, str]] = set()
    for epoch, row in enumerate(table.select().where(table.chain == chain).order_by(table.epoch)):
        place = key_place(chain, row.epoch, row.after_seq, row.after_mac)
        if row.epoch != epoch:
            return Fault(chain, row.after_seq + 1, Wrong.KEY)
        try:
            begins.insert(0, (row.after_seq, tx.services.vault.open_at(place, bytes(row.sealed_key))))
        except SealBrokenError:
            return Fault(chain, row.after_seq + 1, Wrong.KEY)
        ends.add((row.after_seq, row.after_mac))
    if not begins or begins[-1][0] != 0:
        return Fault(chain, 1, Wrong.KEY)
    return _Keys(tuple(begins), frozenset(ends))


def _walk(keys: _Keys, stretch: Stretch, position: Position, rows: Sequence[Row]) -> Position | Fault:
    name = stretch.end.chain
    if not rows:
        return Fault(name, position.head.seq + 1, Wrong.CUT_OFF)
    named = {(head.seq, head.mac) for head in (*stretch.named, stretch.end)}
    named |= keys.ends
    places = {seq for seq, _ in named}
    for row_id, seq, mac, *columns in rows:
        head = next_head(keys.key_behind(position.head.seq), position.head, columns)
        if wrong := _wrong(position, row_id, seq, mac, head):
            return Fault(name, min(seq, head.seq), wrong)
        if seq in places and any(place == seq and code != mac for place, code in named):
            return Fault(name, seq, Wrong.OTHER)
        position = Position(head, row_id)
    return position


def _wrong(position: Position, row_id: int, seq: int, mac: str, head: Head) -> Wrong | None:
    """Return what is wrong with the row that comes next, if anything."""
    if seq < head.seq:
        return Wrong.ADDED
    if seq > head.seq:
        return Wrong.REMOVED
    if row_id <= position.row_id:
        return Wrong.MOVED
    return None if mac == head.mac else Wrong.CHANGED


def _stretch(tx: Tx, end: Head, exported: Sequence[Head]) -> Stretch:
    begin = last_cut(tx, end.chain)
    if isinstance(begin, Fault):
        return Stretch(Head(end.chain, 0, START), end, before=begin)
    table = models.AuditEntry
    mine = table.chain == end.chain
    named = frozenset(head for head in exported if head.seq >= begin.seq)
    keys = _keys(tx, end.chain)
    reached = max((head.seq for head in named), default=0)
    if not isinstance(keys, Fault):
        reached = max(reached, *(seq for seq, _ in keys.ends))
    behind = Fault(end.chain, end.seq + 1, Wrong.CUT_OFF) if reached > end.seq else None
    if table.select().where(mine & (table.seq > end.seq)).exists():
        behind = Fault(end.chain, end.seq + 1, Wrong.ADDED)
    before = keys if isinstance(keys, Fault) else None
    back = table.select(table.seq).where(mine & (table.seq <= begin.seq)).order_by(table.seq).first()
    if back is not None:
        before = Fault(end.chain, back.seq, Wrong.ADDED)
    if begin.seq and any(head.seq == begin.seq and head.mac != begin.mac for head in named):
        before = Fault(end.chain, begin.seq, Wrong.OTHER)
    if end.seq < begin.seq:
        begin, before = end, Fault(end.chain, end.seq + 1, Wrong.CUT_OFF)
    return Stretch(begin, end, named, before, behind)


def last_cut(tx: Tx, chain: str) -> Head | Fault:
    """Return where a chain was last cut: the head after which the remaining rows begin."""
    cuts = sealed_cuts(tx, chain)
    return cuts if isinstance(cuts, Fault) else cuts[-1]


def sealed_cuts(tx: Tx, chain: str) -> list[Head] | Fault:
    """Return where a chain was cut, starting with its beginning."""
    table = models.AuditCut
    cuts = [Head(chain, 0, START)]
    for row in table.select().where(table.chain == chain).order_by(table.seq):
        cuts.append(Head(chain, row.seq, row.mac))
        try:
            tx.services.vault.open_at(cut_place(cuts[-1]), bytes(row.seal))
        except SealBrokenError:
            return Fault(chain, row.seq, Wrong.CUT)
    return cuts


def _stranger(chains: Sequence[str]) -> Fault | None:
    table = models.AuditEntry
    odd = table.mac.is_null() | table.seq.is_null() | table.chain.is_null() | table.chain.not_in(chains)
    row = table.select(table.id).where(odd).order_by(table.id).first()
    return None if row is None else Fault(None, row.id, Wrong.ADDED)
