"""A check-up of an installation: known facts turned into findings, each with what to do."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from data.rules import clock_jumps
from data.rules.domain_types import Method, Mode
from data.rules.permanent_mode import NAMED, UNLOCKERS, People

_GIGABYTE = 2**30
_FULL_BYTES, _SCARCE_BYTES = _GIGABYTE // 10, _GIGABYTE


class Level(StrEnum):
    """How serious a finding is: it needs action, is worth knowing, or is fine."""

    PROBLEM = "problem"
    NOTE = "note"
    FINE = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check-up: what was checked, the result, and what to do."""

    topic: str
    level: Level
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What a check-up examines in an account; all people are active users.

    `unlockers` are the system administrators who can sign in with a second factor now. `guessed` are those
    whose names failed many times lately. `unsendable` are the methods that are on but that no carrier in
    the settings can send.
    """

    name: str
    mode: Mode
    active: int
    unlockers: People
    locked_admins: People
    locked: People
    unprotected_admins: People
    pending: People
    guessed: People
    unsendable: tuple[Method, ...] = ()


def all_is_well(findings: Iterable[Finding]) -> bool:
    """Whether there is no problem among the findings."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


def judge_account(facts: AccountFacts) -> tuple[Finding, ...]:
    """Judge an account's mode, administrators and users."""
    rest = (
        Finding(_topic(facts.name), *parts) for part in (_administrators, _people) for parts in part(facts)
    )
    return (*judge_policy(facts.name, facts.mode, facts.unsendable), *rest)


def judge_policy(account: str, mode: Mode, unsendable: tuple[Method, ...]) -> tuple[Finding, ...]:
    """Judge an account's mode and methods; `unsendable` as in `AccountFacts`."""
    return tuple(Finding(_topic(account), *parts) for parts in _policy(mode, unsendable))


def _topic(account: str) -> str:
    return f"account {account}"


_Parts = tuple[Level, str, str]


def _policy(mode: Mode, unsendable: tuple[Method, ...]) -> Iterator[_Parts]:
    said = f"The mode is {mode.value}."
    if mode is Mode.OFF:
        yield Level.NOTE, f"{said} A key or password alone signs in.", "twofold policy set --mode optional"
    else:
        yield Level.FINE, said, ""
    for method in unsendable:
        yield (
            Level.PROBLEM,
            f"Codes by {method.label} are on, but nothing is set up to send them.",
            f"Set [{'smtp' if method is Method.EMAIL else 'sms'}] in twofold.toml, or turn the method off.",
        )


def _administrators(facts: AccountFacts) -> Iterator[_Parts]:
    if facts.locked_admins.count:
        yield (
            Level.PROBLEM,
            f"Administrators are locked: {facts.locked_admins.listed}.",
            "See why: twofold user explain NAME. Unlock: twofold user unlock NAME --reason WHY",
        )
    if facts.unprotected_admins.count:
        yield (
            Level.NOTE,
            f"Administrators without a second factor: {facts.unprotected_admins.listed}.",
            "They set it up at their next sign-in. Until then, only a password or key protects them.",
        )
    if facts.unlockers.count >= UNLOCKERS:
        yield Level.FINE, f"{facts.unlockers.count} system administrators can unlock each other.", ""
    else:
        who = f"only {facts.unlockers.listed}" if facts.unlockers.count else "no one"
        yield (
            Level.NOTE,
            f"Of the system administrators, {who} can sign in with a second factor and unlock others.",
            "Appoint a second one: twofold user role NAME --grant system_admin",
        )


def _people(facts: AccountFacts) -> Iterator[_Parts]:
    yield Level.FINE, f"{facts.active} active user{'' if facts.active == 1 else 's'}.", ""
    others = facts.locked.count - facts.locked_admins.count
    if others > 0:
        yield (
            Level.NOTE,
            f"Locked: {facts.locked.listed}.",
            "twofold user unlock NAME --reason WHY, once you know that it was them.",
        )
    yield from _guessed(facts.guessed)
    if facts.pending.count:
        yield (
            Level.NOTE,
            f"Must set up two-factor authentication at their next sign-in: {facts.pending.listed}.",
            "",
        )


def judge_guessed(account: str, guessed: People) -> tuple[Finding, ...]:
    """Judge whether passwords of users of an account are being guessed."""
    return tuple(Finding(_topic(account), *parts) for parts in _guessed(guessed))


def _guessed(guessed: People) -> Iterator[_Parts]:
    if guessed.count:
        yield (
            Level.NOTE,
            f"Passwords are being guessed for: {guessed.listed}.",
            "This locks no one. See who signs in: twofold audit list --user NAME",
        )


@dataclass(frozen=True, slots=True)
class ApplicationFacts:
    """What a check-up examines of a registered application."""

    name: str
    enabled: bool
    suspended_at: datetime | None
    accept_without_2fa: bool
    lenient: bool


def judge_applications(account: str, applications: Iterable[ApplicationFacts]) -> tuple[Finding, ...]:
    """Judge the enabled applications of an account."""
    enabled = [each for each in applications if each.enabled]
    return tuple(Finding(_topic(account), *parts) for parts in _applications(enabled))


def _applications(enabled: list[ApplicationFacts]) -> Iterator[_Parts]:
    for each in enabled:
        if each.suspended_at is not None:
            since = f"{each.suspended_at:%Y-%m-%d %H:%M} UTC"
            yield (
                Level.PROBLEM,
                f"Application {each.name} was suspended {since}: it sent wrong codes of many users.",
                f"Find out who typed them, then: twofold application enable {each.name}",
            )
    if lax := ", ".join(each.name for each in enabled if each.accept_without_2fa):
        yield (
            Level.NOTE,
            f"Applications that accept people without a second factor: {lax}.",
            "Once everyone has one, remove them and add them again without --accept-without-2fa.",
        )
    if lenient := ", ".join(each.name for each in enabled if each.lenient):
        yield (
            Level.NOTE,
            f"Applications whose packets need no Message-Authenticator: {lenient}.",
            (
                "Their answers can be forged on the way (CVE-2024-3596). Upgrade the clients, then add the "
                "applications again without --lenient."
            ),
        )


BACK_AGAIN = (
    "If it was rotated after the backup was taken, its former key signs again. Make a new one, and have "
    "hosts trust that one alone: twofold ca rotate"
)
"""What an authority of a backup means, and what to do."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a check-up examines of an account's certificates.

    `present` is the fingerprint of the authority that signs, and `opens` whether its key can be opened.
    `former` are those of retired ones, each with when the last of its certificates ends. `nameless` are
    active users who have no principal, because their names are reserved.
    """

    hours: int
    present: str | None
    opens: bool
    former: tuple[tuple[str, datetime], ...]
    nameless: People


def judge_certificates(account: str, facts: CertificateFacts) -> tuple[Finding, ...]:
    """Judge the certificates of an account; there is nothing to say where it has no authority."""
    return tuple(Finding(_topic(account), *parts) for parts in _certificates(facts))


def _certificates(facts: CertificateFacts) -> Iterator[_Parts]:
    if facts.present is None:
        if facts.hours:
            yield (
                Level.PROBLEM,
                "Certificates are on, but there is no certificate authority.",
                "twofold ca init",
            )
        return
    if not facts.opens:
        yield (
            Level.PROBLEM,
            "The key of the certificate authority cannot be opened. No certificates can be issued.",
            "Replace it, and have hosts trust the new one: twofold ca rotate",
        )
    elif facts.hours:
        yield Level.FINE, f"Certificates for {facts.hours} h are signed by {facts.present}.", ""
    else:
        yield Level.FINE, "Certificates are off.", ""
    for former, until in facts.former:
        yield (
            Level.NOTE,
            f"Certificates of a former authority can be used until {until:%Y-%m-%d %H:%M} UTC.",
            f"Then remove its line from all hosts: {former}.",
        )
    if facts.hours and facts.nameless.count:
        yield (
            Level.NOTE,
            f"People who get no certificates, because their names are reserved: {facts.nameless.listed}.",
            "Give each a principal: twofold user principal add NAME PRINCIPAL",
        )


def judge_reserved(account: str, serials: Sequence[int]) -> tuple[Finding, ...]:
    """Judge which live certificates of an account include principals that were reserved since."""
    if not serials:
        return ()
    named = People(len(serials), tuple(map(str, serials[:NAMED]))).listed
    said = f"Certificates include principals that are reserved now; their serials: {named}."
    advice = "Restart the server, which withdraws them, or: twofold cert withdraw SERIAL"
    return (Finding(_topic(account), Level.PROBLEM, said, advice),)


def judge_restored(account: str, restored_at: datetime) -> Finding:
    """Say that an authority is that of a backup, where nothing could say whether it was the last."""
    said = f"The certificate authority is that of the backup restored {restored_at:%Y-%m-%d %H:%M} UTC."
    return Finding(_topic(account), Level.NOTE, said, BACK_AGAIN)


def judge_lists(account: str) -> Finding:
    """Say of an account that issues certificates how hosts learn which were withdrawn, without HTTP."""
    said = "No [http] in twofold.toml: hosts cannot fetch the list of withdrawn certificates over HTTP."
    advice = (
        "Serve HTTP, or have each host fetch the list by ssh: twofold ca krl. See: twofold help certificates"
    )
    return Finding(_topic(account), Level.NOTE, said, advice)


def judge_targets(account: str, unreachable: Sequence[str]) -> tuple[Finding, ...]:
    """Judge which targets of an account no one can reach, given by name."""
    if not unreachable:
        return ()
    named = People(len(unreachable), tuple(unreachable[:NAMED])).listed
    said = f"Targets that no one can reach: {named}."
    advice = "To see why: twofold target show NAME. Check [forwarding] networks in twofold.toml."
    return (Finding(_topic(account), Level.NOTE, said, advice),)


def judge_clock(
    now: datetime, *, newest: datetime | None, stuck: int, database_now: datetime | None
) -> tuple[Finding, ...]:
    """Judge the clock by the newest record, and by the clock of the database server if there is one."""
    return tuple(Finding("clock", *parts) for parts in _clock(now, newest, stuck, database_now))


def _clock(
    now: datetime, newest: datetime | None, stuck: int, database_now: datetime | None
) -> Iterator[_Parts]:
    said = f"It is {now:%Y-%m-%d %H:%M:%S} UTC"
    if newest is not None and newest - now >= clock_jumps.NOTABLE:
        yield (
            Level.PROBLEM,
            f"{said}, but the newest record is from {newest:%Y-%m-%d %H:%M:%S} UTC.",
            "Set the clock, and keep it synchronised with NTP. Then: twofold clock show",
        )
    elif database_now is not None and abs(database_now - now) >= clock_jumps.NOTABLE:
        yield (
            Level.PROBLEM,
            f"{said} here, and {database_now:%H:%M:%S} at the database.",
            "Keep the clocks of all nodes synchronised with NTP: codes are checked against them.",
        )
    else:
        yield Level.FINE, f"{said}.", ""
    if stuck:
        yield (
            Level.PROBLEM,
            f"Codes from {stuck} user{'' if stuck == 1 else 's'} are refused because of a clock jump.",
            "Once the clock is right: twofold clock repair",
        )


def judge_disk(free: int, total: int, where: str) -> Finding:
    """Judge the free bytes of the disk that a database grows on."""
    said = f"{free / _GIGABYTE:.1f} of {total / _GIGABYTE:.0f} GB are free for {where}."
    if free < _FULL_BYTES:
        return Finding("disk", Level.PROBLEM, said, "Free some space: a full disk refuses sign-ins.")
    if free < _SCARCE_BYTES:
        return Finding("disk", Level.NOTE, said, "Plan for more space.")
    return Finding("disk", Level.FINE, said)


def judge_files(allowed: int, wanted: int) -> Finding:
    """Judge how many files a server started in this environment may have open."""
    said = f"A server started from here can open {allowed:,} files; each connection uses one."
    if allowed < wanted:
        advice = f"Raise the limit to {wanted:,}: ulimit -n, or LimitNOFILE= in a systemd unit."
        return Finding("files", Level.NOTE, said, advice)
    return Finding("files", Level.FINE, said)


def judge_database(faults: tuple[str, ...]) -> Finding:
    """Judge what a database found when it checked itself."""
    if faults:
        said = f"The database is damaged: {'; '.join(faults)}."
        return Finding("database", Level.PROBLEM, said, "Restore it from a backup: twofold restore FILE")
    return Finding("database", Level.FINE, "The database is intact.")


def judge_schema(differences: tuple[str, ...] | None) -> Finding:
    """Judge how a schema, including its guards of the audit log, differs from the expected one.

    None means that it could not be compared.
    """
    if differences is None:
        said = "The tables, triggers and views could not be compared with the expected ones."
        return Finding("schema", Level.NOTE, said, "Grant CREATE on the database to the role that serves it.")
    if differences:
        more = f"; and {len(differences) - NAMED} more" if len(differences) > NAMED else ""
        return Finding(
            "schema",
            Level.PROBLEM,
            f"Someone has changed the database's schema: {'; '.join(differences[:NAMED])}{more}.",
            "Find out who did it and what else was changed: twofold audit verify. Restoring a backup "
            "also restores the schema.",
        )
    return Finding("schema", Level.FINE, "The database's tables, triggers and views match this version.")


def judge_counts(wrong: int) -> Finding:
    """Judge how many of the kept counts differ from the rows that they count."""
    if wrong:
        said = f"{wrong} kept {'count differs' if wrong == 1 else 'counts differ'} from the users or the log."
        return Finding("counts", Level.PROBLEM, said, "Count again: twofold doctor --repair-counts")
    return Finding("counts", Level.FINE, "The kept counts match the users and the log.")


def judge_rotation(*, begun: bool) -> Finding | None:
    """Judge whether the master key is being rotated."""
    if not begun:
        return None
    said = "A master key rotation was started but not finished: both keys are needed."
    return Finding("keys", Level.NOTE, said, "If no one is working on it, continue it: twofold key rotate")


def judge_secrets(sealed: int, broken: tuple[str, ...]) -> Finding:
    """Judge whether the sealed secrets can be opened; `broken` names the users of those that cannot."""
    if broken:
        whose = People(len(broken), broken[:NAMED]).listed
        return Finding(
            "secrets",
            Level.PROBLEM,
            f"{len(broken)} of {sealed} sealed secrets cannot be opened: those of {whose}.",
            "Clear the two-factor data of each of them, so that they enrol again: twofold user clear-2fa "
            "NAME",
        )
    return Finding("secrets", Level.FINE, f"All {sealed} sealed secrets can be opened.")


def judge_carrier(method: Method, answer: str, *, taken: bool) -> Finding:
    """Judge how a carrier answered a trial without a message."""
    if taken:
        return Finding("delivery", Level.FINE, f"Messages by {method.label} can be sent: {answer}")
    option = "--email ADDRESS" if method is Method.EMAIL else "--sms NUMBER"
    return Finding(
        "delivery",
        Level.PROBLEM,
        f"Messages by {method.label} cannot be sent: {answer}",
        f"Check twofold.toml and the service that sends them, then: twofold delivery test {option}",
    )


def judge_sending(unsent: int) -> Finding | None:
    """Judge how many codes their carrier did not accept in the last day."""
    if not unsent:
        return None
    return Finding(
        "delivery",
        Level.NOTE,
        f"{unsent} code{'' if unsent == 1 else 's'} could not be sent in the last day.",
        "See whose and when: twofold audit list --event code.not_sent",
    )
