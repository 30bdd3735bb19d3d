"""The file of an audit archive: a header that lists its chains, then one row per line, as JSON."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from data.operations.audit.chain import Columns
from data.operations.audit.verification import Row, Stretch
from data.rules.audit_chain import Head
from data.storage import models
from tui.cli.open_installation import refuse
from tui.cli.text_tables import iso

_KIND = "twofold audit archive 1"
_LONGEST_LINE = 1_000_000


class NotAnArchiveError(Exception):
    """A file is not an archive, or is damaged; the message says where."""


@contextmanager
def new_archive(target: Path) -> Iterator[IO[str]]:
    """Open a private file that appears under its name only when all of it is on disk.

    An existing file is refused, even one that appears meanwhile.
    """
    if os.path.lexists(target):
        refuse(f"{target} already exists. Choose another name, or remove it first.")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.link(name, target)
        finally:
            Path(name).unlink()
        _sync_folder(target.parent)
    except FileExistsError:
        refuse(f"{target} already exists. Choose another name, or remove it first.")
    except OSError as error:
        refuse(f"{target} cannot be written: {error.strerror}.")


def write_header(file: IO[str], stretches: Sequence[Stretch], made_at: datetime) -> None:
    """Write which chains follow, each with its start and end."""
    chains = [{"after": _as_json(stretch.begin), "until": _as_json(stretch.end)} for stretch in stretches]
    file.write(json.dumps({"kind": _KIND, "made_at": iso(made_at), "chains": chains}) + "\n")


def write_rows(file: IO[str], chain: str, rows: Iterable[Row]) -> None:
    """Write some rows of a chain."""
    for row_id, seq, mac, *columns in rows:
        said = dict(zip(Columns._fields, columns, strict=True))
        said["at"] = iso(models.moment(said["at"]))
        file.write(json.dumps({"id": row_id, "chain": chain, "seq": seq, "mac": mac, **said}) + "\n")


def read_header(file: IO[str]) -> tuple[Stretch, ...]:
    """Return which chains follow.

    Raises:
        NotAnArchiveError: when the file does not start as an archive does.
    """
    try:
        header = json.loads(file.readline(_LONGEST_LINE))
        known = header["kind"] == _KIND
        stretches = tuple(Stretch(_head(chain["after"]), _head(chain["until"])) for chain in header["chains"])
    except (ValueError, KeyError, TypeError, RecursionError):
        known, stretches = False, ()
    if not known:
        raise NotAnArchiveError("The file is not an archive of the audit log.")
    return stretches


def read_rows(file: IO[str], size: int) -> Iterator[tuple[str, list[Row]]]:
    """Read the rows in batches, each of one chain.

    Raises:
        NotAnArchiveError: when a line is not a row.
    """
    batch: list[Row] = []
    chain = ""
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), start=2):
        name, row = _row(line, number)
        if batch and (name != chain or len(batch) == size):
            yield chain, batch
            batch = []
        chain = name
        batch.append(row)
    if batch:
        yield chain, batch


def _row(line: str, number: int) -> tuple[str, Row]:
    try:
        said = json.loads(line)
        at = models.microseconds(datetime.fromisoformat(said["at"]))
        columns = Columns(**{name: said[name] for name in Columns._fields} | {"at": at})
        return str(said["chain"]), (int(said["id"]), int(said["seq"]), str(said["mac"]), *columns)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise NotAnArchiveError(f"Line {number} of the file is not a row of the audit log.") from None


def _head(said: Any) -> Head:
    return Head(str(said["chain"]), int(said["seq"]), str(said["mac"]))


def _as_json(head: Head) -> dict[str, object]:
    return {"chain": head.chain, "seq": head.seq, "mac": head.mac}


def _sync_folder(folder: Path) -> None:
    """Make sure that the folder's entries are on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
