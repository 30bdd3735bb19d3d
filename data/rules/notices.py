"""Notices: which acts a user is told about by e-mail, in what words, and how long delivery is tried.

A notice says what happened, when, by whom, and what to do if it was unexpected. It holds no secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from textwrap import fill
from typing import Any

from data.rules.audit_events import Event, filled
from data.rules.domain_types import Application, Method
from data.rules.recovery_codes import FEW_LEFT
from data.rules.safe_text import safe
from data.rules.sent_codes import Envelope, masked
from data.rules.source_addresses import place_in_words

GIVEN_UP_AFTER = timedelta(days=1)
"""How long delivery of a notice is tried, counted from the act."""
PER_HOUR = 6
"""Notices of one kind of act sent to one user, and to one address, within an hour; the log has all acts."""
NAMED_LOCKS = 12
"""Locks that a message to an administrator names; the others are counted."""
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
_OPERATOR = "operator:"
_COLUMNS = 72


@dataclass(frozen=True, slots=True)
class Act:
    """What a user is told about: an event of the audit log, with who did it and from where."""

    event: Event
    at: datetime
    user: str
    account: str
    actor: str
    application: str
    address: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    happened: str


_WORDS = {
    Event.ENROLLED: _Words(
        "two-factor authentication was set up",
        "A second factor was set up: {method}. You will be asked for a code when you sign in.",
    ),
    Event.TAKEN_OVER: _Words(
        "two-factor authentication was set up",
        "Your authenticator app was imported from another system. You will be asked for its codes when "
        "you sign in.",
    ),
    Event.REPLACED: _Words(
        "a second factor was replaced",
        "A second factor was replaced by a new one: {method}. The old one no longer works.",
    ),
    Event.TURNED_OFF: _Words(
        "two-factor authentication was turned off",
        "Two-factor authentication was turned off. From now on, your password or SSH key alone signs you in.",
    ),
    Event.DISABLED: _Words(
        "two-factor authentication was turned off",
        "Two-factor authentication was turned off. What you had set up and your recovery codes were "
        "removed. If it is required for everyone, you must set it up again at your next sign-in.",
    ),
    Event.CLEARED: _Words(
        "your two-factor data was cleared",
        "What you had set up for two-factor authentication and your recovery codes were removed. You "
        "must set it up again at your next sign-in.",
    ),
    Event.RECOVERY_RENEWED: _Words(
        "new recovery codes",
        "New recovery codes were made. The old ones no longer work.",
    ),
    Event.RECOVERY_USED: _Words(
        "few recovery codes left",
        "A recovery code was used; {left} left. You can make new ones on My profile.",
    ),
    Event.TEMPORARY_CODE_MADE: _Words(
        "a temporary code was made for you",
        "A temporary code was made for you. It is good once in place of a code, until {until}. The person "
        "who made it will give it to you. What you have set up stays.",
    ),
    Event.TEMPORARY_CODE_USED: _Words(
        "your temporary code was used",
        "The temporary code that an administrator made for you was used. It no longer works.",
    ),
    Event.LOCKED: _Words(
        "your account is locked",
        "Your account was locked after seven wrong codes. A system administrator can unlock it.",
    ),
    Event.RIGHT_AFTER_FAILURES: _Words(
        "your password was entered after many wrong ones",
        "Your password was entered. In the 24 hours before, there were {failures:failed sign-in} with your "
        "name, from {sources:source}. If the password can be guessed, change it.",
    ),
    Event.NEW_PLACE: _Words("a sign-in from a new place", "You signed in {places}."),
    Event.PEOPLE_LOCKED: _Words("{count:user} locked", "{count:user} locked after seven wrong codes:"),
    Event.APPLICATION_SUSPENDED: _Words(
        "application {name} was suspended",
        "The application {name} was suspended: codes of {users:user} were wrong within ten minutes. It "
        "may be guessing.",
    ),
    Event.PASSWORD_CHANGED: _Words("your password was changed", "Your password was changed."),
    Event.ONE_TIME_PASSWORD_SET: _Words(
        "a one-time password was set",
        "A one-time password was set for you. Your old password no longer works. The person who set it "
        "will give you the new one, and you must change it at your next sign-in. {terms}",
    ),
    Event.KEY_ADDED: _Words("an SSH key was added", "An SSH key can now sign you in: {fingerprint}"),
    Event.KEY_REMOVED: _Words("an SSH key was removed", "An SSH key no longer signs you in: {fingerprint}"),
    Event.USER_EDITED: _Words("your contact data was changed", "{changes}"),
    Event.EMAIL_ASKED_FOR: _Words(
        "someone tried to use your e-mail address",
        "Someone tried to use this e-mail address for another user. Because it is yours, this was "
        "refused and nothing was changed. They were not told whose it is.",
    ),
}


TOLD = frozenset(_WORDS)
"""The events that have words."""
_TOLD_APART = (
    Event.USER_EDITED,
    Event.EMAIL_ASKED_FOR,
    Event.NEW_PLACE,
    Event.PEOPLE_LOCKED,
    Event.APPLICATION_SUSPENDED,
)
_DETAIL_LIMIT = 1_000


def is_told(event: Event, detail: Mapping[str, object]) -> bool:
    """Whether the audit row of an act brings its user a notice.

    An edit is told too, but to more addresses than the one that the user then has. So are an attempt to
    use an address, a sign-in from a new place and, to administrators, locks, which have no row of their own.
    """
    if event is Event.RECOVERY_USED:
        left = detail.get("left")
        return isinstance(left, int) and left <= FEW_LEFT
    return event in _WORDS and event not in _TOLD_APART


def envelope(act: Act, to: str, issuer: str) -> Envelope:
    """Word a notice."""
    words = _WORDS[act.event]
    detail = {key: safe(value, _DETAIL_LIMIT) for key, value in act.detail.items()}
    account = safe(act.account)
    listed, facts = "", f"When:    {act.at:%Y-%m-%d %H:%M} UTC\nBy:      {by_whom(act)}\n"
    if act.event is Event.PEOPLE_LOCKED:
        listed, facts = _locks(act.detail), ""
    if act.event is Event.APPLICATION_SUSPENDED:
        facts = f"When:    {act.at:%Y-%m-%d %H:%M} UTC\nLast:    {_through(act)}\n"
    text = (
        f"Hello {act.user},\n"
        f"\n"
        f"{_wrapped(' '.join(filter(None, (filled(words.happened, detail), detail.get('used', '')))))}\n"
        f"{listed}"
        f"\n"
        f"Account: {account}\n"
        f"{facts}"
        f"\n"
        f"{_wrapped(_advice(act, account))}\n"
    )
    return Envelope(Method.EMAIL, to, f"{issuer}: {filled(words.subject, detail)}", text)


def with_lock(locks: Mapping[str, Any], lock: str) -> dict[str, object]:
    """Return the details of a message about locks with one more, which is named if few are."""
    return {"count": locks.get("count", 0) + 1, "locks": [*locks.get("locks", ()), lock][:NAMED_LOCKS]}


def _locks(told: Mapping[str, Any]) -> str:
    """List who was locked, when and from where."""
    named, count = told["locks"], told["count"]
    more = [f"and {count - len(named)} more"] if count > len(named) else []
    return "\n" + "".join(f"- {safe(line)}\n" for line in [*named, *more])


def contact_changes(changed: Mapping[str, str], withdrawn: str) -> str:
    """Say what a user's address and number are now, in a form that only their owner recognises."""
    sentences = []
    if address := changed.get("email"):
        sentences.append(f"Your e-mail address is now {masked(Method.EMAIL, address)}.")
    if "phone" in changed:
        number = changed["phone"]
        sentences.append(
            f"Your phone number is now {masked(Method.SMS, number)}."
            if number
            else "Your phone number was removed."
        )
    return " ".join([*sentences, withdrawn.strip()]).strip()


def wait_after(tries: int) -> timedelta:
    """Return how long to wait for the next try after this many failures."""
    doublings = min(max(tries - 1, 0), 10)
    return min(_LONGEST_WAIT, _FIRST_WAIT * (1 << doublings))


def _wrapped(paragraph: str) -> str:
    return fill(paragraph, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def by_whom(act: Act) -> str:
    """Say who did an act, and from where."""
    if act.event is Event.EMAIL_ASKED_FOR:
        return "someone who may create users or change their own address"
    if act.actor.startswith(_OPERATOR):
        return f"the operator on the host ({safe(act.actor.removeprefix(_OPERATOR))})"
    if act.actor != act.user:
        return f"the administrator {safe(act.actor)}"
    if act.event in (Event.LOCKED, Event.RIGHT_AFTER_FAILURES):
        return f"someone with your password or SSH key, {_through(act)}"
    return f"{act.user}, {_through(act)}"


def _through(act: Act) -> str:
    """Say through which application an act came, and from where."""
    if act.application == Application.LOCAL:
        return "in the app on the host"
    return safe(place_in_words(act.application, act.address))


_TO_ADMINS = {
    Event.APPLICATION_SUSPENDED: (
        "It is rejected until a security administrator enables it. First find out who typed the codes: "
        "see Activity, or run twofold audit list --event signin.code_wrong. Then enable it under "
        "Applications, or run: twofold application enable {name}"
    ),
    Event.PEOPLE_LOCKED: (
        "Ask them first: if they did not type the codes themselves, someone has their password or SSH "
        "key. To unlock a user, press u on their page in the app, or run this on the host: twofold user "
        "unlock NAME --reason REASON"
    ),
}
"""What those who are told of others should do."""


def _advice(act: Act, account: str) -> str:
    if act.event is Event.EMAIL_ASKED_FOR:
        return (
            f"If it was you, use another address there, or ask an administrator of {account} to change "
            "the one here. If not, you have nothing to do."
        )
    if act.event in _TO_ADMINS:
        return filled(
            _TO_ADMINS[act.event], {key: safe(value, _DETAIL_LIMIT) for key, value in act.detail.items()}
        )
    if act.actor != act.user:
        return (
            f"If you did not expect this, ask an administrator of {account} in person or by phone. Please "
            "don't reply to this message."
        )
    if act.event is Event.LOCKED:
        return (
            "If it was you, ask a system administrator to unlock you. If not, tell them: someone has your "
            "password or SSH key."
        )
    if_not = (
        f"If it was you, you have nothing to do. If not, tell an administrator of {account} at once: "
        "someone can sign in as you."
    )
    if act.event is Event.NEW_PLACE:
        return (
            f"{if_not} On My profile, change your password, remove SSH keys that you do not know, and end "
            "your other sessions."
        )
    return if_not
