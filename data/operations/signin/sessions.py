"""Open sessions: who is signed in, ending sessions, and which sessions a server must close."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from data.operations.actors import (
    Acting,
    ActingUser,
    facts_of,
    origin_of,
    read_session,
    step_of_session,
    why_ended,
)
from data.operations.audit import trail
from data.operations.certificates.withdrawal import count_live, count_live_of_sessions, withdraw_by
from data.operations.guards import require_permission, require_user, why_not
from data.operations.results import Denied, Done
from data.rules.audit_events import Event
from data.rules.permissions import Action
from data.rules.policy import why_over
from data.rules.source_addresses import source_in_words
from data.rules.user_status import Standing
from data.storage import models
from data.storage.prepared_statements import Prepared, PreparedWrite
from data.store import Tx

ENDED_BY_ADMIN = "An administrator ended this session."
_ENDED_BY_ONESELF = "You ended this session from another of your sessions."
_WITH_SESSION = "the session was ended with its certificates"
_OWN_LISTED = 20
"""How many of one's own sessions are listed; all others can be ended at once."""
_SOURCES_NAMED = 5
_ASKED_AT_ONCE = 10_000
"""Sessions that one statement asks about: well below the number of values that a database accepts."""


@dataclass(frozen=True, slots=True)
class OpenJump:
    """A channel of a session to a target; `sent` are bytes from the client, some seconds ago."""

    target: str
    opened_at: datetime
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """An open session with its jumps; a restricted one is still signing in.

    `certificates` counts those that were obtained in it and that hosts accept.
    """

    id: int
    user: str
    application: str
    address: str
    methods: str
    restricted: bool
    started_at: datetime
    mine: bool
    certificates: int = 0
    jumps: tuple[OpenJump, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of open sessions; `total` counts all of them, `more` says whether a page follows.

    `endable` are the IDs of those that the actor may end; `who_can` says who can end the others. Of one's own
    sessions, `certificates` counts those that were not obtained in this session and that hosts accept.
    """

    rows: tuple[SessionRow, ...]
    total: int
    more: bool
    endable: frozenset[int] = frozenset()
    who_can: str = ""
    certificates: int = 0


@require_permission(Action.SEE_PEOPLE)
def list_sessions(acting: Acting, *, before: int | None = None, limit: int = 50) -> SessionPage:
    """Read the open sessions from the newest backwards; `before` is the last ID of the previous page."""
    table = models.Session
    found = _open_ones(acting)
    total = found.count()
    if before is not None:
        found = found.where(table.id < before)
    rows = list(found.order_by(table.id.desc()).limit(limit + 1))
    mine = acting.session.id if acting.session else None
    refusal = why_not(acting, Action.END_SESSIONS)
    return SessionPage(
        _rows(acting.tx, rows[:limit], mine),
        total,
        len(rows) > limit,
        frozenset() if refusal else frozenset(row.id for row in rows if row.id != mine),
        refusal.message if refusal else "",
    )


@require_permission(Action.END_SESSIONS)
def end_session_of(acting: Acting, session_id: int, *, certificates: bool = False) -> Done | Denied:
    """End someone's session, and withdraw the `certificates` obtained in it if that is wanted.

    The server that holds the session closes it within seconds.
    """
    session = _open_ones(acting).where(models.Session.id == session_id).get_or_none()
    if session is None:
        return Denied("The session was not found. It may have ended already.")
    if acting.session is not None and acting.session.id == session.id:
        return Denied("That is the session you are in. Sign out to end it.")
    _end(acting.tx, models.Session.id == session.id, ENDED_BY_ADMIN)
    trail.record(
        acting,
        Event.SESSION_ENDED,
        session.user.name,
        source=source_in_words(session.application, session.address),
    )
    in_it = models.Certificate.session == session.id
    withdrawn = withdraw_by(acting, session.user, _WITH_SESSION, in_it) if certificates else ""
    return Done(f"Session of {session.user.name} from {session.address} ended.{withdrawn}")


_OWN = Prepared(
    models.Session,
    1,
    lambda key: (
        models.Session.select(models.Session, models.User)
        .join(models.User)
        .where(models.Session.user == key, models.Session.ended_at.is_null())
        .order_by(models.Session.id.desc())
        .limit(_OWN_LISTED)
    ),
    parent="user",
)


def own_sessions(me: ActingUser) -> SessionPage:
    """Read the actor's newest open sessions, including restricted ones."""
    rows = _OWN.all(me.user.id)
    total = len(rows)
    if total == _OWN_LISTED:
        total = _open_ones(me).where(models.Session.user == me.user.id).count()
    shown = _rows(me.tx, rows, me.session.id)
    of_this = next((row.certificates for row in shown if row.mine), 0)
    others = count_live(me.tx, models.Certificate.user == me.user.id) - of_this
    return SessionPage(shown, total, total > len(rows), certificates=others)


@require_user()
def end_my_sessions(me: ActingUser, which: int | None = None, *, certificates: bool = False) -> Done | Denied:
    """End another session of the actor's own, or all others.

    With `certificates`, withdraw those obtained in it; of all others, also those of sessions that have ended.
    """
    if which == me.session.id:
        return Denied("That is the session you are in. Sign out to end it.")
    table = models.Session
    others = (table.user == me.user.id) & (table.id != me.session.id)
    if which is not None:
        others &= table.id == which
    ending = list(table.select().where(others, table.ended_at.is_null()))
    if not ending:
        return Denied("That is not one of your other sessions. It may have ended already.")
    _end(me.tx, others, _ENDED_BY_ONESELF)
    sources = sorted({source_in_words(row.application, row.address) for row in ending})
    more = ", ..." if len(sources) > _SOURCES_NAMED else ""
    named = ", ".join(sources[:_SOURCES_NAMED]) + more
    trail.record(me, Event.OWN_SESSIONS_ENDED, me.user.name, count=len(ending), sources=named)
    withdrawn = withdraw_by(me, me.user, _WITH_SESSION, _obtained_in(me, which)) if certificates else ""
    return Done(f"Ended {len(ending)} other session{'' if len(ending) == 1 else 's'}.{withdrawn}")


def _obtained_in(me: ActingUser, which: int | None) -> Any:
    """Return, as SQL, whether a certificate was obtained in this session, or in any but the present one."""
    session = models.Certificate.session
    return session == which if which is not None else session.is_null() | (session != me.session.id)


def end_sessions_of_user(tx: Tx, user_id: int, because: str) -> None:
    """End all sessions of a user, with a reason that they are told."""
    _end(tx, models.Session.user == user_id, because)


def end_other_sessions(acting: Acting, user_id: int, because: str) -> None:
    """End a user's sessions after what they rely on has changed, with a reason that they are told.

    The session in which they made the change themselves goes on, if the rules still call it signed in.
    """
    table = models.Session
    mine = acting.session.id if acting.session else None
    tx = acting.tx
    _end(tx, (table.user == user_id) & (table.id != mine) if mine else table.user == user_id, because)
    rejudge_sessions_of(tx, user_id)


def mark_code_given(me: ActingUser, *, temporary: bool = False) -> None:
    """Record that a user has just given a code, possibly a temporary one, in the session they act in."""
    table, now = models.Session, me.tx.now
    table.update(fresh_at=now, code_at=now, temporary_code=temporary).where(
        table.id == me.session.id
    ).execute()


def rejudge_sessions(tx: Tx, users: Any) -> None:
    """End these users' open sessions that the rules no longer call signed in.

    Any operation that changes facts for the rules calls this in its own transaction. `users` is a
    condition on users. Sessions of enrolled users who gave a code are not checked: the rules call those
    signed in.
    """
    table, user, account = models.Session, models.User, models.Account
    selected = table.select(table, user, account).join(user).join(account)
    _rejudge(tx, list(_where_doubtful(selected, users)))


def rejudge_sessions_of(tx: Tx, user_id: int) -> None:
    """Do as `rejudge_sessions` for a single user."""
    _rejudge(tx, [found for row in _DOUBTFUL.all(user_id) if (found := read_session(row.id))])


def _where_doubtful(sessions: Any, users: Any) -> Any:
    """Narrow a selection from sessions and users to the open sessions of users that are to be judged."""
    table, user = models.Session, models.User
    doubtful = (
        table.code_at.is_null()
        | (user.standing != Standing.ENROLLED.value)
        | user.one_time_until.is_null(False)
    )
    return sessions.where(users, table.ended_at.is_null(), ~table.restricted, doubtful)


_DOUBTFUL = Prepared(
    models.Session,
    1,
    lambda user_id: _where_doubtful(
        models.Session.select(models.Session.id).join(models.User), models.User.id == user_id
    ),
)


def _rejudge(tx: Tx, sessions: Iterable[models.Session]) -> None:
    for session in sessions:
        step = step_of_session(tx, session, facts_of(tx, session.user))
        if because := why_over(step, restricted=False):
            _end(tx, models.Session.id == session.id, because)


def ended_among(tx: Tx, session_ids: Iterable[int]) -> dict[int, str]:
    """Return which of these sessions were ended or lasted too long, each with the reason for its user."""
    asked = list(session_ids)
    table = models.Session
    over: dict[int, str] = {}
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        some = asked[start : start + _ASKED_AT_ONCE]
        oldest = tx.now - tx.services.longest_session
        ended = table.select(table.id, table.ended_because, table.ended_at, table.started_at).where(
            table.id.in_(some) & (table.ended_at.is_null(False) | (table.started_at <= oldest))
        )
        over |= {row.id: why_ended(tx, row) or ENDED_BY_ADMIN for row in ended}
    return over


def _end(tx: Tx, which: Any, because: str) -> None:
    table = models.Session
    still_open = table.ended_at.is_null()
    table.update(ended_at=tx.now, ended_because=because).where(which, still_open).execute()


def _open_ones(acting: Acting) -> Any:
    table = models.Session
    return (
        table.select(table, models.User)
        .join(models.User)
        .where((models.User.account == acting.account_id) & table.ended_at.is_null())
    )


def _rows(tx: Tx, sessions: Sequence[models.Session], mine: int | None) -> tuple[SessionRow, ...]:
    listed = [session.id for session in sessions]
    certificates, jumps = count_live_of_sessions(tx, listed), _jumps_of(listed)
    return tuple(
        _row(session, mine, certificates.get(session.id, 0), jumps.get(session.id, ()))
        for session in sessions
    )


def _jumps_of(session_ids: Sequence[int]) -> dict[int, tuple[OpenJump, ...]]:
    table = models.Jump
    found: dict[int, tuple[OpenJump, ...]] = {}
    for row in table.select().where(table.session.in_(session_ids)).order_by(table.opened_at, table.id):
        jump = OpenJump(row.name, row.opened_at, row.sent, row.received)
        found[row.session_id] = (*found.get(row.session_id, ()), jump)
    return found


def _row(
    session: models.Session, mine: int | None, certificates: int, jumps: tuple[OpenJump, ...]
) -> SessionRow:
    return SessionRow(
        jumps=jumps,
        certificates=certificates,
        id=session.id,
        user=session.user.name,
        application=session.application,
        address=session.address,
        methods=session.methods or session.first_factor,
        restricted=session.restricted,
        started_at=session.started_at,
        mine=session.id == mine,
    )


_SESSION = Prepared(
    models.Session,
    1,
    lambda key: (
        models.Session.select(models.Session, models.User.id, models.User.name, models.User.account)
        .join(models.User)
        .where(models.Session.id == key)
    ),
    parent="user",
)
_ENDED = PreparedWrite(2, lambda at, key: models.Session.update(ended_at=at).where(models.Session.id == key))


def end_session(tx: Tx, session_id: int) -> None:
    """Record that a session ended; the first record counts."""
    end_sessions(tx, [session_id])


def end_sessions(tx: Tx, session_ids: Iterable[int]) -> None:
    """Record that these sessions ended, as `end_session` does."""
    found = (_SESSION.one(session_id) for session_id in dict.fromkeys(session_ids))
    ending = [session for session in found if session is not None and session.ended_at is None]
    for session in ending:
        _ENDED.run_unanswered(models.microseconds(tx.now), session.id)
    if ending:
        trail.write_ends(tx, [(each.user, origin_of(each)) for each in ending])
