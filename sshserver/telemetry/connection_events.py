"""Records of connections: in the log, one event per line, and in the metrics.

Nothing that a client typed is recorded. The user is named only after the first factor, by the name in the
database: before that, the name may be anything, even a password.
"""

import logging
import secrets
import time
from typing import Final

from data.operations.signin.admission import Admitted, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected, NotJudged, PasswordResult
from data.operations.signin.resync import NextCodeWanted
from data.operations.signin.second_factor import CodeResult, SendResult
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.policy import SignedIn
from data.rules.protocol_misuse import Misuse
from sshserver.telemetry.metrics import Metrics

Field = str | int | float | None
Judged = PasswordResult | CodeResult | SendResult
_log = logging.getLogger("twofold.ssh")
_NAMES: Final[dict[type[Judged], str]] = {
    FirstFactorRejected: "first_factor_rejected",
    NotJudged: "password_not_judged",
    CodeNeeded: "first_factor_passed",
    Admitted: "admitted",
    TurnedAway: "turned_away",
    CodeWrong: "code_wrong",
    CodeAlreadyUsed: "code_replayed",
    CodeLapsed: "code_lapsed",
    NotACode: "no_code",
    WrongBefore: "code_repeated",
    NextCodeWanted: "next_code_wanted",
    CodeSent: "code_sent",
    NotSent: "code_not_sent",
}
_BURST: Final = 20
_WINDOW_SECONDS: Final = 10.0


def tell(logger: logging.Logger, level: int, event: str, **fields: Field) -> None:
    """Log an event with its fields, except those that are None.

    The line of the source is not looked up: the event says where it happened.
    """
    if logger.isEnabledFor(level):
        extra = {"fields": {k: v for k, v in fields.items() if v is not None}}
        logger.handle(logger.makeRecord(logger.name, level, "", 0, event, (), None, extra=extra))


class LogRateLimiter:
    """Limits how many lines of a kind are logged, and counts those it held back."""

    def __init__(self, burst: int = _BURST, seconds: float = _WINDOW_SECONDS) -> None:
        """Allow `burst` lines of each kind in `seconds`."""
        self._burst = burst
        self._seconds = seconds
        self._windows: dict[str, tuple[float, int]] = {}

    def let_through(self, kind: str, now: float) -> int | None:
        """Return how many lines were held back before this one, or None if this one is too."""
        began, count = self._windows.get(kind, (now, 0))
        held_back = 0
        if now - began >= self._seconds:
            held_back = max(0, count - self._burst)
            began, count = now, 0
        self._windows[kind] = (began, count + 1)
        return held_back if count < self._burst else None


class Telemetry:
    """The log and metrics that all connections of a server share."""

    def __init__(self, metrics: Metrics | None = None, *, silent: bool = False) -> None:
        """Count in `metrics`; `silent` logs nothing, for the self-test."""
        self.metrics = metrics or Metrics()
        self.silent = silent
        self.condition = LogRateLimiter()

    def connection(self) -> "ConnectionTelemetry":
        """Start recording a connection."""
        return ConnectionTelemetry(self)

    def hung_up(self, what: Misuse, address: str) -> None:
        """Record a connection that was refused before any work was done for it."""
        self.metrics.refused(what.name.lower())
        held_back = self.condition.let_through(what.name, time.monotonic())
        if held_back is not None and not self.silent:
            fields: dict[str, Field] = {
                "address": address,
                "reason": what.value,
                "not_shown": held_back or None,
            }
            tell(_log, logging.WARNING, "connection.refused", **fields)


class ConnectionTelemetry:
    """The records of one connection, whose ID is in every line."""

    def __init__(self, shared: Telemetry) -> None:
        """Record a connection whose address is not known yet."""
        self._shared = shared
        self._address: str | None = None
        self._user: str | None = None
        self._id = secrets.token_hex(4)
        self._began = time.monotonic()

    def event(self, level: int, event: str, **fields: Field) -> None:
        """Log an event of this connection."""
        if not self._shared.silent:
            tell(_log, level, event, connection=self._id, address=self._address, user=self._user, **fields)

    def opened(self, address: str) -> None:
        """Record where the connection comes from."""
        self._address = address
        self.event(logging.DEBUG, "connection.opened")

    def restarted(self) -> None:
        """Forget who was signing in: the client names a user, or another one."""
        self._user = None

    def judged(self, step: str, result: Judged, seconds: float, *, stale: bool) -> None:
        """Record the result of a factor and how long it took; a stale one opened nothing."""
        before = self._user
        outcome, fields = self._outcome(result)
        self._shared.metrics.judged(step, outcome, seconds)
        if stale:
            fields["stale"] = "yes"
        self.event(logging.INFO, f"signin.{outcome}", step=step, ms=round(seconds * 1000, 1), **fields)
        if stale:
            self._user = before

    def broken_off(self, reference: str | None) -> None:
        """Record that a sign-in could not be judged; without a reference, the database was the cause."""
        self._shared.metrics.outcome("broken_off")
        self.event(logging.ERROR, "signin.broken_off", reference=reference)

    def refused(self, what: Misuse) -> None:
        """Record misuse; before the first factor, a flood is recorded only in part."""
        self._shared.metrics.refused(what.name.lower())
        held_back: int | None = 0
        if self._user is None:
            held_back = self._shared.condition.let_through(what.name, time.monotonic())
        if held_back is not None:
            more = held_back or None
            self.event(logging.WARNING, "connection.refused", reason=what.value, not_shown=more)

    def limited(self, limit: str) -> None:
        """Record that a limit was reached."""
        self._shared.metrics.refused(limit)
        self.event(logging.WARNING, "limit.reached", limit=limit)

    def session_opened(self, session_id: int) -> None:
        """Record that an app starts."""
        self.event(logging.INFO, "session.opened", session=session_id)

    def session_ended(self, session_id: int, because: str) -> None:
        """Record that an app has ended."""
        self.event(logging.INFO, "session.ended", session=session_id, because=because)

    def jump_opened(self, jump_id: int, target: str) -> None:
        """Record that a jump to a target was opened."""
        self._shared.metrics.jump_opened()
        self.event(logging.INFO, "jump.opened", jump=jump_id, target=target)

    def jump_refused(self, reason: str) -> None:
        """Record that a jump was not opened; what was asked for may be anything, and is not recorded."""
        self._shared.metrics.jump_refused(reason)
        held_back = self._shared.condition.let_through(f"jump {reason}", time.monotonic())
        if held_back is not None:
            self.event(logging.WARNING, "jump.refused", reason=reason, not_shown=held_back or None)

    def jump_closed(self, jump_id: int, sent: int, received: int, because: str) -> None:
        """Record that a jump is over."""
        self.event(logging.INFO, "jump.closed", jump=jump_id, sent=sent, received=received, because=because)

    def closed(self, wrong_answers: int, unknown_keys: int) -> None:
        """Record that the connection is gone."""
        seconds = round(time.monotonic() - self._began, 1)
        self.event(
            logging.DEBUG,
            "connection.closed",
            seconds=seconds,
            wrong_answers=wrong_answers,
            unknown_keys=unknown_keys,
        )

    def _outcome(self, result: Judged) -> tuple[str, dict[str, Field]]:
        """Return the name and fields of an outcome; from the first factor on, remember the user."""
        name = _NAMES[type(result)]
        fields: dict[str, Field] = {}
        match result:
            case CodeNeeded(attempt):
                self._user = attempt.username
            case Admitted(session):
                self._user = session.username
                fields["session"] = session.id
                name = name if isinstance(session.step, SignedIn) else "restricted"
            case TurnedAway(reason) | NotSent(reason):
                fields["reason"] = reason
            case CodeWrong(left):
                fields["left"] = left
            case CodeSent(method):
                fields["method"] = method.value
        return name, fields
