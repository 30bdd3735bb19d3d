"""What belongs to a user, one a line: methods, keys, remembered addresses, sessions."""

from collections.abc import Sequence

from data.operations.signin.remembered_addresses import Remembered
from data.operations.signin.sessions import SessionPage, SessionRow
from data.operations.users.user_summaries import FactorRow, KeyRow, UserDetail
from data.rules.safe_text import safe
from data.rules.source_addresses import source_in_words
from data.wording.words import counted, day, moment

_LIMIT = 120
"""Characters of an untrusted string that are shown, so that it cannot break the list."""


def key_lines(keys: Sequence[KeyRow]) -> str:
    """Return SSH keys, one a line."""
    lines = [
        f"{safe(key.comment, _LIMIT) or key.algorithm}  {key.fingerprint}, "
        f"{f'last used {day(key.last_used_at)}' if key.last_used_at else 'never used'}"
        for key in keys
    ]
    return "\n".join(lines) or "none"


def address_lines(remembered: Sequence[Remembered]) -> str:
    """Return remembered addresses, one a line."""
    lines = [f"{row.address} with {row.first_factor}, until {moment(row.until)}" for row in remembered]
    return "\n".join(lines) or "none"


def session_words(row: SessionRow) -> str:
    """Return one of one's own sessions in words."""
    source = source_in_words(row.application, row.address)
    words = f"{source}, since {moment(row.started_at)}, with {row.methods}"
    return f"{words} (this session)" if row.mine else words


def jump_lines(row: SessionRow) -> list[str]:
    """Return the open jumps of a session: target, since when, and bytes both ways."""
    return [
        f"{jump.target}, since {moment(jump.opened_at)}: {counted(jump.sent, 'byte')} sent, "
        f"{counted(jump.received, 'byte')} received"
        for jump in row.jumps
    ]


def session_lines(page: SessionPage) -> str:
    """Return one's own open sessions, one a line."""
    lines = [session_words(row) for row in page.rows]
    return "\n".join([*lines, f"and {page.total - len(lines)} more"] if page.more else lines)


def factor_lines(factors: Sequence[FactorRow]) -> str:
    """Return second factors, one a line."""
    lines = [
        f"{row.method.label}{f' to {safe(row.masked, _LIMIT)}' if row.masked else ''}, "
        f"since {moment(row.confirmed_at)}"
        for row in factors
    ]
    return "\n".join(lines) or "none"


def attempts_line(user: UserDetail) -> str:
    """Return how many attempts are left, and which applications used the others."""
    used = f"; wrong codes: {user.attempts_used}" if user.attempts_used else ""
    return f"{user.attempts_left}{used}"
