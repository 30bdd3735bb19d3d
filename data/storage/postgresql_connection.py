"""A connection to PostgreSQL on which statements that stay the same go past psycopg's cursors.

A cursor costs several times what it costs to send its statement and to read the answer, and waits for each
answer. So these statements go to libpq: prepared when they first run, and several in one trip, because one
whose answer nobody reads is sent with the next. So is the beginning of a transaction.
"""

import re
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

import psycopg
from peewee import InternalError
from peewee import __exception_wrapper__ as errors_of_peewee  # type: ignore[attr-defined]
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import _WaitTimeout, error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

STATEMENT_SECONDS: Final = 15
_STATEMENTS = 400
"""Statements of cursors that stay prepared: more than there are. One too many drives out another."""
_MOST = 100
"""Statements that wait to be sent."""
_IN_TRANSACTION = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})
_DONE = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK})
_MARK = re.compile("%[s%]")


class Repeated(str):
    """A statement that stays the same. `%s` marks a value, whose type follows from where it stands."""

    __slots__ = ()


class Unanswered(Repeated):
    """A statement whose answer nobody reads; if it fails, so does the next one, or the commit."""

    __slots__ = ()


_COMMIT = Repeated("COMMIT")
_ROLLBACK = Repeated("ROLLBACK")


class Answer:
    """What a statement returned, with what is used of a cursor."""

    __slots__ = ("_result", "_rows")

    def __init__(self, result: PGresult, rows: list[tuple[Any, ...]]) -> None:
        self._result = result
        self._rows = rows

    @property
    def description(self) -> list[tuple[str]]:
        """The columns, each with its name alone."""
        return [((self._result.fname(number) or b"").decode(),) for number in range(self._result.nfields)]

    @property
    def rowcount(self) -> int:
        """How many rows were found or changed."""
        return self._result.command_tuples or 0

    @property
    def statusmessage(self) -> str:
        """The name of what the server did, which is not always what it was told to do."""
        return (self._result.command_status or b"").decode()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the first row, if there is one."""
        return self._rows[0] if self._rows else None

    def close(self) -> None:
        """Do nothing: nothing is held."""


class Connection(psycopg.Connection[Any]):
    """A connection that is given up if an answer does not come."""

    deadline: float | None = STATEMENT_SECONDS + 5

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepared_max = _STATEMENTS
        self._adapted = Transformer(self)
        self._names: dict[str, bytes] = {}
        """What is prepared here, and under which name."""
        self._numbers = count()
        self._opening: list[tuple[Repeated, Sequence[Any]]] = []
        """What begins the transaction, until it is sent with the first statement."""
        self._waiting: list[tuple[Repeated, Sequence[Any]]] = []

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server as psycopg does, but not forever: a hanging host never answers.

        Nothing that psycopg does is sent before it waits here, so that what was to go first does.
        """
        if self._opening or self._waiting:
            self._exchange()
        return self._wait(gen, interval, timeout)

    def _wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.deadline if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from None

    def _deallocate(self, name: bytes | None) -> Any:
        """Forget what is prepared together with psycopg, which does so when an object may be another one."""
        if name is None:
            self._names.clear()
        return super()._deallocate(name)

    def run(self, statement: Repeated, values: Sequence[object] = ()) -> Answer | None:
        """Run a statement and return its answer; in a transaction, an `Unanswered` one waits for the next.

        Raises:
            DatabaseError: peewee's, as it does for cursors, of the first statement that failed.
        """
        with errors_of_peewee:
            self._waiting.append(
                (statement, self._adapted.dump_sequence(values, [PyFormat.TEXT] * len(values)))
            )
            if isinstance(statement, Unanswered) and self._is_begun() and len(self._waiting) < _MOST:
                return None
            result = self._exchange()
            self._adapted.set_pgresult(result)
            return Answer(result, self._adapted.load_rows(0, result.ntuples, tuple))

    def begin(self, *statements: Repeated) -> None:
        """Have a transaction begun by these statements once something runs in it."""
        self._opening = [(statement, ()) for statement in statements]

    def commit(self) -> None:
        """Commit, together with what waits; there is nothing to commit if nothing has run.

        Raises:
            DatabaseError: of what failed, also if its error was not passed on: nothing is kept then.
        """
        if self._waiting or not self._opening:
            answer = self.run(_COMMIT)
            if answer is not None and answer.statusmessage == _ROLLBACK:
                raise InternalError("a statement had failed")
        self._opening = []

    def rollback(self) -> None:
        """Undo what has run; what is prepared stays."""
        unsent, self._opening, self._waiting = self._opening, [], []
        if not unsent and self.pgconn.transaction_status in _IN_TRANSACTION:
            self.run(_ROLLBACK)

    def _is_begun(self) -> bool:
        return bool(self._opening) or self.pgconn.transaction_status in _IN_TRANSACTION

    def _exchange(self) -> PGresult:
        """Send what waits and return the result of the last of it."""
        sending, self._opening, self._waiting = [*self._opening, *self._waiting], [], []
        preparing: list[Repeated | None] = []
        try:
            self.pgconn.enter_pipeline_mode()
            for statement, values in sending:
                if statement not in self._names:
                    self._names[statement] = b"twofold%d" % next(self._numbers)
                    self.pgconn.send_prepare(self._names[statement], _for_libpq(statement))
                    preparing.append(statement)
                self.pgconn.send_query_prepared(self._names[statement], values)
                preparing.append(None)
            self.pgconn.pipeline_sync()
            results = self._wait(_results(self.pgconn, len(preparing)))
            self.pgconn.exit_pipeline_mode()
        except BaseException:  # Answers may be under way that belong to nothing any more.
            self.pgconn.finish()
            raise
        for prepared, result in zip(preparing, results, strict=True):
            if prepared is not None and result.status not in _DONE:
                del self._names[prepared]
        for result in results:
            if result.status not in _DONE:
                raise error_from_result(result)
        last: PGresult = results[-1]
        return last


def _results(pgconn: PGconn, expected: int) -> Any:
    """Send everything and read so many results, and the mark after them."""
    yield from send(pgconn)
    results = []
    for _ in range(expected):
        results += yield from fetch_many(pgconn)
    yield from fetch_many(pgconn)
    return results


def _for_libpq(statement: str) -> bytes:
    """Number the values of a statement."""
    numbers = count(1)
    return _MARK.sub(lambda mark: f"${next(numbers)}" if mark[0] == "%s" else "%", statement).encode()
