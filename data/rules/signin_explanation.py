"""Can they sign in, and why not? Known facts about a user, turned into a verdict and its reasons."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from data.rules.deadline import days_in_words, days_left, demand_of
from data.rules.domain_types import Application, FirstFactor, Method, Mode, Policy, Proof, UserFacts
from data.rules.policy import ATTEMPTS, MustChangePassword, MustEnrol, NeedCode, Refusal, Refused, next_step
from data.rules.source_addresses import place_in_words
from data.rules.totp import STEP_SECONDS


class Weight(StrEnum):
    """What a reason means for the next sign-in."""

    STOPS = "stops"
    NOTE = "note"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of the answer."""

    weight: Weight
    sentence: str


@dataclass(frozen=True, slots=True)
class Failures:
    """Refused codes: how many in each application, and when the last one came."""

    by_application: tuple[tuple[str, int], ...] = ()
    last_at: datetime | None = None

    @property
    def count(self) -> int:
        """How many there were in all."""
        return sum(count for _, count in self.by_application)

    @property
    def words(self) -> str:
        """How many in each application, and when most recently."""
        named = (
            (count, _THROUGH.get(application, f"by {application}"))
            for application, count in self.by_application
        )
        listed = ", ".join(f"{count} {through}" for count, through in named)
        return f"{listed}, most recently {_moment(self.last_at)}"

    @property
    def by_registered(self) -> str:
        """How many of their attempts registered applications used, told to the user; empty if none."""
        named = [(name, count) for name, count in self.by_application if name not in _THROUGH]
        if not named:
            return ""
        (first, count), *more = named
        others = "".join(f", {more_count} by {name}" for name, more_count in more)
        return (
            f"{count} of your {ATTEMPTS} attempts {'was' if count == 1 else 'were'} used by {first}{others}."
        )


_THROUGH = {Application.SSH: "over SSH", Application.LOCAL: "on the host"}
_UNCOUNTED = {
    "no code": ("was not a code", "were not codes"),
    "repeated": ("was wrong before", "were wrong before"),
    "lapsed": (
        "was a code that had expired or been replaced",
        "were codes that had expired or been replaced",
    ),
}


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Answers of the last day that were not counted as attempts: their kind, and where they came from."""

    kind: str
    count: int
    application: str
    address: str

    @property
    def words(self) -> str:
        """How many of the kind, and where from."""
        one, several = _UNCOUNTED[self.kind]
        what = f"1 answer that {one}" if self.count == 1 else f"{self.count} answers that {several}"
        return f"{what}, {place_in_words(self.application, self.address)}"


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Messages of the last day that their carrier did not accept; `reason` is the last known reason.

    `what` is a code or a notice, `method` the label of its method.
    """

    what: str
    method: str
    count: int
    last_at: datetime
    reason: str = ""

    @property
    def words(self) -> str:
        """How many, when most recently, and why."""
        why = f": {self.reason}" if self.reason else ""
        what = f"{self.count} {self.what}{'' if self.count == 1 else 's'} by {self.method}"
        return f"{what} could not be delivered in the last day, most recently {_moment(self.last_at)}{why}."


@dataclass(frozen=True, slots=True)
class Success:
    """A successful sign-in."""

    at: datetime
    application: str
    address: str
    methods: str


@dataclass(frozen=True, slots=True)
class Known:
    """All facts that the answer is made from.

    `wrong` are the wrong codes that the attempts were spent on, `replayed` the used codes of the
    last day, and `uncounted` the answers of the last day that were no attempts. `clock_offset` is by how many
    time steps the last accepted code was ahead, `drift` by how many the phone's clock is assumed to be
    since a resync. `refused_until` is when codes of the app are good again, if one was accepted while the
    clock here was ahead. `one_time_until` is when a one-time password expires, which may be in the past
    (`one_time_ended`). `mailed_at` is when the password, or the one before it, was sent by e-mail, and
    `invited_at` when an invitation was requested that has not been sent yet. `first_factor_failures`
    counts wrong passwords and unknown keys of the last quarter of an hour. `unreachable` are the methods
    by which a code does not reach them now: nothing sends it, or the last one was not accepted.
    `notices_waiting` counts notices that failed and will be tried again.
    """

    name: str
    policy: Policy
    user: UserFacts
    now: datetime
    has_password: bool = False
    one_time_until: datetime | None = None
    one_time_ended: bool = False
    mailed_at: datetime | None = None
    invited_at: datetime | None = None
    keys: int = 0
    key_used_at: datetime | None = None
    locked_at: datetime | None = None
    enrolled_at: datetime | None = None
    recovery_left: int = 0
    temporary_until: datetime | None = None
    attempts_left: int = ATTEMPTS
    wrong: Failures = Failures()
    replayed: Failures = Failures()
    uncounted: tuple[Uncounted, ...] = ()
    clock_offset: int | None = None
    drift: int = 0
    refused_until: datetime | None = None
    resync_until: datetime | None = None
    first_factor_failures: int = 0
    remembered: tuple[tuple[str, str, datetime], ...] = ()
    successes: tuple[Success, ...] = ()
    unreachable: frozenset[Method] = frozenset()
    undelivered: tuple[Undelivered, ...] = ()
    notices_waiting: int = 0

    @property
    def can_use_password(self) -> bool:
        """Whether there is a password that signs in."""
        return self.has_password and not self.one_time_ended


def explain(known: Known) -> tuple[Reason, ...]:
    """Return the verdict, then the facts in the order in which a sign-in meets them."""
    parts = (_standing, _first_factor, _second_factor, _attempts, _clock, _delivery, _remembered, _successes)
    return (_verdict(known), *(reason for part in parts for reason in part(known)))


def _verdict(known: Known) -> Reason:
    """Return whether they can sign in now, and the one reason, by asking the rules."""
    if why := _without_first_factor(known):
        return _no(known, why)
    factor = FirstFactor.PASSWORD if known.can_use_password else FirstFactor.KEY
    match next_step(known.policy, known.user, Proof(factor), known.now):
        case Refused(reason):
            return _no(known, _REFUSED[reason])
        case NeedCode(()):
            how = f"with a {_spare_codes(known)} code, and must then set up 2FA again."
        case NeedCode(methods):
            return _with_code(known, methods)
        case MustChangePassword():
            how = "with the one-time password, and must set a new one first."
        case MustEnrol():
            how = "and must set up two-factor authentication before anything else."
        case _:
            return _yes(known, "with the password or key alone.", _fine)
    return _yes(known, how, _note)


_REFUSED = {
    Refusal.DEACTIVATED: "they are deactivated.",
    Refusal.LOCKED: "they are locked after seven wrong codes.",
}


def _without_first_factor(known: Known) -> str | None:
    """Return why there is no first factor; for a user who is turned away anyway, None."""
    if known.can_use_password or known.keys or not known.user.active or known.user.locked:
        return None
    if known.one_time_ended:
        return "their one-time password has expired, and they have no SSH key."
    return "they have neither a password nor an SSH key."


def _with_code(known: Known, methods: tuple[Method, ...]) -> Reason:
    """Return with which code a user who has set up 2FA can sign in, if with any."""
    stuck = {Method.APP} if known.refused_until else set()
    if set(methods) - known.unreachable - stuck:
        return _yes(known, "with a code after the password or key.", _fine)
    sent = [method.label for method in methods if method in known.unreachable]
    why = (
        f"codes by {' and '.join(sent)} do not reach them"
        if sent
        else f"codes from their app are refused until {_moment(known.refused_until)}"
    )
    if spare := _spare_codes(known):
        return _yes(known, f"with a {spare} code only: {why}.", _note)
    return _no(known, f"{why}, and they have no recovery codes left.")


def _spare_codes(known: Known) -> str:
    """Name the kinds of code that are left beside the factors."""
    kinds = (("recovery", known.recovery_left > 0), ("temporary", known.temporary_until is not None))
    return " or ".join(kind for kind, left in kinds if left)


def _yes(known: Known, how: str, weigh: Callable[[str], Reason]) -> Reason:
    return weigh(f"Yes, {known.name} can sign in now, {how}")


def _no(known: Known, why: str) -> Reason:
    return _stops(f"No, {known.name} cannot sign in now: {why}")


def _standing(known: Known) -> Iterator[Reason]:
    if not known.user.active:
        yield _stops(f"{known.name} is deactivated. A system administrator can activate them.")
    else:
        yield _fine(f"{known.name} is active.")
    if known.user.locked:
        yield _stops(
            f"Locked after seven wrong codes, {_moment(known.locked_at)}. A system administrator can unlock "
            "them, and so can the operator on the host."
        )


def _first_factor(known: Known) -> Iterator[Reason]:
    if not known.has_password and not known.keys:
        yield _stops(
            "Neither a password nor an SSH key is set: invite them, set a one-time password or add a key."
        )
    elif not known.has_password:
        yield _note("No password is set: only an SSH key signs in.")
    elif known.one_time_ended:
        weigh = _note if known.keys else _stops
        yield weigh(
            f"The one-time password expired {_moment(known.one_time_until)} and is refused like a wrong "
            "one. A system administrator can set a new one."
        )
    elif known.user.one_time_password:
        yield _note(
            f"The password is a one-time password, valid until {_moment(known.one_time_until)}. They must "
            "set a new one when they sign in with it."
        )
    else:
        yield _fine("A password is set.")
    yield from _invitation(known)
    if known.keys:
        plural = "s" if known.keys > 1 else ""
        used = f"last used {_moment(known.key_used_at)}" if known.key_used_at else "not used yet"
        yield _fine(f"{known.keys} SSH key{plural}, {used}.")
    elif known.can_use_password:
        yield _note("No SSH key is set: only the password signs in.")
    if failures := known.first_factor_failures:
        failed = f"{failures} sign-in{'' if failures == 1 else 's'} failed"
        yield _note(
            f"In the last 15 minutes, {failed} for this name, with a wrong password or an unknown key. "
            "The addresses they came from are slowed down."
        )


def _invitation(known: Known) -> Iterator[Reason]:
    if known.invited_at:
        yield _note(f"An invitation by e-mail, requested {_moment(known.invited_at)}, has not been sent yet.")
    if known.mailed_at and known.user.one_time_password:
        yield _note(f"They were invited: the password was sent by e-mail {_moment(known.mailed_at)}.")
    elif known.mailed_at:
        yield _note(
            f"Their first password was sent by e-mail {_moment(known.mailed_at)}: the first method that "
            "they set up cannot be e-mail."
        )


_MODES = {
    Mode.OFF: "The mode is off: no one is asked for a code.",
    Mode.OPTIONAL: "The mode is optional.",
    Mode.REQUIRED: "The mode is required: everyone must use two-factor authentication.",
    Mode.PERMANENT: "The mode is permanent: everyone must use two-factor authentication.",
}


def _second_factor(known: Known) -> Iterator[Reason]:
    user = known.user
    if deadline := demand_of(known.policy, known.now).deadline:
        yield _fine(
            f"The mode is required from {deadline:%Y-%m-%d}. From then on, everyone must use two-factor "
            "authentication."
        )
    else:
        yield _fine(_MODES[known.policy.mode])
    if user.required:
        yield _fine("An administrator requires two-factor authentication for them.")
    elif user.must_use_two_factor:
        yield _fine("Their role requires two-factor authentication.")
    if user.enrolled:
        since = _moment(known.enrolled_at)
        yield _fine(f"{_methods(known)} set up since {since}; {_recovery_left(known)}.")
    elif user.lost_factor:
        yield _note("Their last second factor was removed, so they must set one up again.")
        if user.can_prove:
            yield _note(
                f"{_recovery_left(known)}. They must enter one first. If they have lost them, clear the 2FA "
                "data."
            )
    else:
        yield _note("No second factor is set up.")
        left = days_left(known.policy, user.grace_from, known.now)
        if left is not None and not user.must_set_up:
            yield _note(f"They have {days_in_words(left)}.")
    if known.temporary_until:
        yield _note(
            f"They have a temporary code, good for one sign-in until {_moment(known.temporary_until)}."
        )


def _recovery_left(known: Known) -> str:
    return f"{known.recovery_left} recovery code{'' if known.recovery_left == 1 else 's'} left"


def _attempts(known: Known) -> Iterator[Reason]:
    if known.user.can_prove or known.attempts_left < ATTEMPTS:
        left = f"{known.attempts_left} of {ATTEMPTS} attempts left"
        if known.wrong.count:
            yield _note(f"{left}. Wrong codes: {known.wrong.words}.")
        else:
            yield _fine(f"{left}.")
    if known.replayed.count:
        yield _note(
            f"Codes that were already used were refused in the last day: {known.replayed.words}. "
            "A code works once; the next one comes within 30 seconds."
        )
    for answers in known.uncounted:
        yield _note(f"Not counted in the last day: {answers.words}.")


def _clock(known: Known) -> Iterator[Reason]:
    if not known.user.enrolled:
        return
    if known.clock_offset == 0:
        yield _fine("The phone's clock was right at the last accepted code.")
    elif known.clock_offset is not None:
        yield _note(f"The phone's clock was {_off(known.clock_offset)} at the last accepted code.")
    if known.drift:
        yield _fine(f"Since a resync, it is assumed to be {_off(known.drift)}.")
    if known.refused_until:
        yield _stops(
            f"Codes from their app are refused until {_moment(known.refused_until)}: one was accepted while "
            "the server's clock was ahead. When it is right, the operator runs: twofold clock repair."
        )
    if known.resync_until:
        yield _note(
            f"A resync is offered until {_moment(known.resync_until)}: two consecutive codes from their "
            "app correct its clock."
        )


def _off(steps: int) -> str:
    return f"about {abs(steps) * STEP_SECONDS} s {'ahead' if steps > 0 else 'behind'}"


def _delivery(known: Known) -> Iterator[Reason]:
    for messages in known.undelivered:
        yield _note(messages.words)
    if known.notices_waiting:
        plural = "" if known.notices_waiting == 1 else "s"
        yield _note(
            f"{known.notices_waiting} notice{plural} by e-mail could not be delivered yet; "
            "the server will try again."
        )


def _remembered(known: Known) -> Iterator[Reason]:
    for address, factor, until in known.remembered:
        yield _fine(f"From {address} with {factor}, no code is asked for until {_moment(until)}.")


def _successes(known: Known) -> Iterator[Reason]:
    if not known.successes:
        yield _note("They have not signed in yet.")
    for success in known.successes:
        yield _fine(
            f"Signed in {_moment(success.at)} {place_in_words(success.application, success.address)} "
            f"with {success.methods}."
        )


def _stops(sentence: str) -> Reason:
    return Reason(Weight.STOPS, sentence)


def _note(sentence: str) -> Reason:
    return Reason(Weight.NOTE, sentence)


def _fine(sentence: str) -> Reason:
    return Reason(Weight.FINE, sentence)


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"


_METHODS = {Method.APP: "an authenticator app", Method.SMS: "text messages", Method.EMAIL: "e-mail"}


def _methods(known: Known) -> str:
    named = [_METHODS[method] for method in known.user.methods]
    listed = " and ".join((", ".join(named[:-1]), named[-1]) if named[1:] else named)
    return f"{listed[:1].upper()}{listed[1:]} {'is' if known.user.methods == (Method.APP,) else 'are'}"
