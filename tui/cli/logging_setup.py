"""The log: one event per line on standard error, as plain text or JSON.

Values are made safe to show here; of an exception, only the type and the place are logged.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from data.rules.safe_text import safe
from sshserver.telemetry.crash_reports import place_of

_OURS: Final = "twofold"
_LONGEST: Final = 1_000
_BARE: Final = re.compile(r"[A-Za-z0-9._:/@+-]+")


class _StandardError(logging.Handler):
    """Writes to the current standard error: an app in this terminal replaces it while it runs."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")  # A line is written out at its end.
        except Exception:  # noqa: BLE001 - a line that cannot be written must not end what it tells of.
            self.handleError(record)


class _Lines(logging.Formatter):
    """The fields of an event, which both formats share."""

    def __init__(self, always: Mapping[str, object]) -> None:
        super().__init__()
        self._always = always

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the fields of an event in the order in which they are written."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
        }
        given = getattr(record, "fields", None)
        if isinstance(given, dict):
            found |= {"event": record.getMessage(), **self._always, **given}
        else:
            found |= {"event": "message", **self._always}
            found |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1]:
            found["error"] = place_of(record.exc_info[1])
        return {key: safe(v, _LONGEST) if isinstance(v, str) else v for key, v in found.items()}


class JsonLines(_Lines):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format an event."""
        return json.dumps(self.fields(record), ensure_ascii=False, default=str)


class PlainLines(_Lines):
    """Time, level and event, then `key=value`; a value that is not a plain word is quoted."""

    def format(self, record: logging.LogRecord) -> str:
        """Format an event."""
        found = self.fields(record)
        line = f"{found.pop('at')} {found.pop('level')} {found.pop('event')}"
        return line + "".join(f" {key}={_word(value)}" for key, value in found.items())


def _word(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def configure(level: str = "warning", form: str = "plain", *, worker: int | None = None) -> None:
    """Log to standard error from now on: this program from `level` up, libraries from warnings up."""
    logging.raiseExceptions = False
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # No line has them.
    always = {} if worker is None else {"worker": worker}
    handler = _StandardError()
    handler.setFormatter(JsonLines(always) if form == "json" else PlainLines(always))
    root = logging.getLogger()
    for known in [known for known in root.handlers if isinstance(known, _StandardError)]:
        root.removeHandler(known)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
