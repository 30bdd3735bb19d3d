"""The events of the audit log: each event's stored name and its sentence."""

from collections.abc import Mapping
from enum import StrEnum


class Event(StrEnum):
    """One kind of change or sign-in outcome."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_RENAMED = "account.renamed"
    BACKED_UP = "installation.backed_up"
    RESTORED = "installation.restored"
    PRACTICE_ADDED = "practice.added"
    PRACTICE_REMOVED = "practice.removed"
    PRACTICE_RENAMED = "practice.renamed"
    SIGNED_IN = "signin.admitted"
    RESTRICTED = "signin.restricted"
    SIGNED_OUT = "signin.ended"
    SESSION_ENDED = "session.ended"
    OWN_SESSIONS_ENDED = "session.ended_by_user"
    CODE_WRONG = "signin.code_wrong"
    CODE_REPLAYED = "signin.code_replayed"
    CODE_FRESH = "signin.code_fresh"
    LOCKED = "signin.locked"
    TURNED_AWAY = "signin.turned_away"
    RIGHT_AFTER_FAILURES = "signin.right_after_failures"
    NEW_PLACE = "signin.new_place"
    PEOPLE_LOCKED = "signin.people_locked"
    USER_CREATED = "user.created"
    PEOPLE_IMPORTED = "people.imported"
    USER_EDITED = "user.edited"
    EMAIL_ASKED_FOR = "user.email_asked_for"
    USER_MOVED = "user.moved"
    USER_DEACTIVATED = "user.deactivated"
    USER_ACTIVATED = "user.activated"
    USER_DELETED = "user.deleted"
    USER_UNLOCKED = "user.unlocked"
    ROLES_CHANGED = "user.roles_changed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - an event's name.
    ONE_TIME_PASSWORD_SET = "password.one_time_set"  # noqa: S105 - an event's name.
    ONE_TIME_PASSWORD_REUSED = "password.one_time_reused"  # noqa: S105 - as above.
    INVITED = "user.invited"
    INVITATION_SENT = "invitation.sent"
    INVITATION_DROPPED = "invitation.dropped"
    REMINDED = "user.reminded"
    KEY_ADDED = "key.added"
    KEY_REMOVED = "key.removed"
    REQUIRED = "two_factor.required"
    NOT_REQUIRED = "two_factor.not_required"
    ENROLLED = "two_factor.enrolled"
    TAKEN_OVER = "two_factor.taken_over"
    REPLACED = "two_factor.replaced"
    TURNED_OFF = "two_factor.turned_off"
    DISABLED = "two_factor.disabled"
    CLEARED = "two_factor.cleared"
    RESYNC_OFFERED = "two_factor.resync_offered"
    RESYNC_BEGUN = "signin.resync_begun"
    RESYNCED = "two_factor.resynced"
    STEPS_BROUGHT_BACK = "two_factor.steps_brought_back"
    RECOVERY_RENEWED = "recovery.renewed"
    RECOVERY_SAVED = "recovery.saved"
    RECOVERY_USED = "recovery.used"
    TEMPORARY_CODE_MADE = "temporary_code.made"
    TEMPORARY_CODE_USED = "temporary_code.used"
    MODE_CHANGED = "policy.mode_changed"
    DEADLINE_CHANGED = "policy.deadline_changed"
    DEADLINE_PUT_OFF = "policy.deadline_put_off"
    DEADLINE_NEAR = "policy.deadline_near"
    SEEN_TIME_CORRECTED = "policy.seen_time_corrected"
    GRACE_DAYS_CHANGED = "policy.grace_days_changed"
    REMEMBER_DAYS_CHANGED = "policy.remember_days_changed"
    ADDRESS_REMEMBERED = "address.remembered"
    ADDRESSES_FORGOTTEN = "address.forgotten"
    WITHDRAWN = "two_factor.withdrawn"
    CERTIFICATE_HOURS_CHANGED = "policy.certificate_hours_changed"
    CERTIFICATE_EXTENSIONS_CHANGED = "policy.certificate_extensions_changed"
    METHODS_CHANGED = "policy.methods_changed"
    NOTICES_CHANGED = "policy.notices_changed"
    CODE_SENT = "code.sent"
    CODE_NOT_SENT = "code.not_sent"
    DELIVERY_TESTED = "delivery.tested"
    LOG_ARCHIVED = "audit.archived"
    KEY_ROTATION_BEGUN = "master_key.rotation_begun"
    KEY_ROTATED = "master_key.rotated"
    NOTICE_ABANDONED = "notice.abandoned"
    COUNTS_REPAIRED = "counts.repaired"
    MISUSED = "connection.misused"
    APPLICATION_ADDED = "application.added"
    APPLICATION_ROTATED = "application.rotated"
    APPLICATION_ENABLED = "application.enabled"
    APPLICATION_DISABLED = "application.disabled"
    APPLICATION_REMOVED = "application.removed"
    APPLICATION_SUSPENDED = "application.suspended"
    AUTHORITY_CREATED = "authority.created"
    AUTHORITY_ROTATED = "authority.rotated"
    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATES_WITHDRAWN = "certificate.withdrawn"
    PRINCIPAL_ADDED = "principal.added"
    PRINCIPAL_REMOVED = "principal.removed"
    PRACTICE_PRINCIPAL_ADDED = "practice.principal_added"
    PRACTICE_PRINCIPAL_REMOVED = "practice.principal_removed"
    TARGET_ADDED = "target.added"
    TARGET_REMOVED = "target.removed"
    JUMP_OPENED = "jump.opened"
    JUMP_CLOSED = "jump.closed"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_REFUSED = "message.refused"


REFUSED_FACTORS = (Event.CODE_WRONG, Event.CODE_REPLAYED)
"""A second factor was refused."""
FAILED_DELIVERIES = (Event.CODE_NOT_SENT, Event.NOTICE_ABANDONED)
"""A message could not be delivered."""
COUNTED = (Event.SIGNED_IN, *REFUSED_FACTORS, *FAILED_DELIVERIES)
"""The events that are counted for each day, as the trigger on the audit log does."""
COUNTED_DAYS = 400
"""Days that are counted, the last one of which is today in UTC."""


_SENTENCES: dict[Event, str] = {
    Event.ACCOUNT_CREATED: "Account {name} created",
    Event.ACCOUNT_RENAMED: "Account {before} renamed to {after}",
    Event.BACKED_UP: "Backup taken",
    Event.RESTORED: "Restored from a backup of {taken}",
    Event.PRACTICE_ADDED: "Practice {name} added",
    Event.PRACTICE_REMOVED: "Practice {name} removed",
    Event.PRACTICE_RENAMED: "Practice {before} renamed to {after}",
    Event.SIGNED_IN: "Signed in with {methods}",
    Event.RESTRICTED: "Signed in with {methods}; {reason}",
    Event.SIGNED_OUT: "Signed out",
    Event.SESSION_ENDED: "Session ended by an administrator ({source})",
    Event.OWN_SESSIONS_ENDED: "Ended {count:session} of their own ({sources})",
    Event.CODE_WRONG: "Wrong code, {left:attempt} left",
    Event.CODE_REPLAYED: "Refused a code that was already used",
    Event.CODE_FRESH: "Confirmed with a fresh {method}",
    Event.LOCKED: "Locked after seven wrong codes",
    Event.TURNED_AWAY: "Turned away: {reason}",
    Event.RIGHT_AFTER_FAILURES: "Correct password after {failures:failure} from {sources:source}",
    Event.NEW_PLACE: "Signed in {places}",
    Event.PEOPLE_LOCKED: "{count:user} locked",
    Event.USER_CREATED: "User created",
    Event.PEOPLE_IMPORTED: "{count:user} imported",
    Event.USER_EDITED: "Edited: {fields}",
    Event.EMAIL_ASKED_FOR: "Someone tried to use the e-mail address for another user",
    Event.USER_MOVED: "Moved from practice {before} to {after}",
    Event.USER_DEACTIVATED: "Deactivated",
    Event.USER_ACTIVATED: "Activated",
    Event.USER_DELETED: "Deleted",
    Event.USER_UNLOCKED: "Unlocked: {reason}",
    Event.ROLES_CHANGED: "Roles now: {roles}",
    Event.PASSWORD_CHANGED: "Password changed",
    Event.ONE_TIME_PASSWORD_SET: "One-time password set",
    Event.ONE_TIME_PASSWORD_REUSED: "One-time password used again, {ended:open session} ended",
    Event.INVITED: "Invited {how}",
    Event.INVITATION_SENT: "Invitation sent with a one-time password, valid until {until}",
    Event.INVITATION_DROPPED: "Message not sent: {reason}",
    Event.REMINDED: "Reminded by e-mail to set up two-factor authentication",
    Event.KEY_ADDED: "SSH key added: {fingerprint}",
    Event.KEY_REMOVED: "SSH key removed: {fingerprint}",
    Event.REQUIRED: "Two-factor authentication required",
    Event.NOT_REQUIRED: "Two-factor authentication no longer required",
    Event.ENROLLED: "Two-factor authentication set up: {method}",
    Event.TAKEN_OVER: "Authenticator app imported from a file, with {codes:scratch code}",
    Event.REPLACED: "Two-factor authentication replaced: {method}",
    Event.TURNED_OFF: "Two-factor authentication turned off by the user",
    Event.DISABLED: "Two-factor authentication disabled",
    Event.CLEARED: "Two-factor data cleared",
    Event.RESYNC_OFFERED: "Resync of the authenticator app offered until {until}",
    Event.RESYNC_BEGUN: "First of two resync codes entered",
    Event.RESYNCED: "Authenticator app resynced, its clock {seconds} s ahead of the server's",
    Event.STEPS_BROUGHT_BACK: "Clock jump repaired: codes were refused until {until}",
    Event.RECOVERY_RENEWED: "New recovery codes made",
    Event.RECOVERY_SAVED: "Recovery codes confirmed as saved",
    Event.RECOVERY_USED: "Recovery code used, {left} left",
    Event.TEMPORARY_CODE_MADE: "Temporary code made, valid until {until}",
    Event.TEMPORARY_CODE_USED: "Temporary code used",
    Event.MODE_CHANGED: "Mode changed from {before} to {after}",
    Event.DEADLINE_CHANGED: "Two-factor authentication required from {after}, previously {before}",
    Event.DEADLINE_PUT_OFF: "Deadline put off from {before} to {after}: {reason}",
    Event.DEADLINE_NEAR: "Reminded of the deadline by e-mail",
    Event.SEEN_TIME_CORRECTED: "Deadlines judged by the clock again, no longer at {before}",
    Event.GRACE_DAYS_CHANGED: "Grace for new users: {after:day}, previously {before}",
    Event.REMEMBER_DAYS_CHANGED: "Addresses remembered for {after:day}, previously {before}",
    Event.ADDRESS_REMEMBERED: "Address remembered until {until}",
    Event.ADDRESSES_FORGOTTEN: "Remembered addresses forgotten: {count}",
    Event.WITHDRAWN: "Codes by {method} withdrawn: the destination was changed",
    Event.CERTIFICATE_HOURS_CHANGED: "Certificates valid for {after:hour}, previously {before}",
    Event.CERTIFICATE_EXTENSIONS_CHANGED: "Certificates permit {after}, previously {before}",
    Event.METHODS_CHANGED: "Methods changed from {before} to {after}",
    Event.NOTICES_CHANGED: "E-mail about {what}: {after}",
    Event.CODE_SENT: "Code sent by {method} to {to}",
    Event.CODE_NOT_SENT: "A code could not be sent by {method}",
    Event.DELIVERY_TESTED: "Test message by {method} to {to}",
    Event.KEY_ROTATION_BEGUN: "Master key rotation started",
    Event.KEY_ROTATED: "Master key rotated: {count:secret} resealed",
    Event.LOG_ARCHIVED: "Audit log before {before} archived: {count:row}",
    Event.NOTICE_ABANDONED: "A notice by e-mail could not be delivered within a day: {about}",
    Event.COUNTS_REPAIRED: "Kept counts corrected: {count}",
    Event.MISUSED: "Refused: {what}",
    Event.APPLICATION_ADDED: "Application {name} added: {protocol}, from {networks}, asks {asks}",
    Event.APPLICATION_ROTATED: "New secret made for application {name}",
    Event.APPLICATION_ENABLED: "Application {name} enabled, previously {before}",
    Event.APPLICATION_DISABLED: "Application {name} disabled",
    Event.APPLICATION_REMOVED: "Application {name} removed",
    Event.APPLICATION_SUSPENDED: "Application {name} suspended: wrong codes of {users:user} in ten minutes",
    Event.AUTHORITY_CREATED: "Certificate authority created: {fingerprint}",
    Event.AUTHORITY_ROTATED: "Certificate authority rotated: {fingerprint}, previously {former_fingerprint}",
    Event.CERTIFICATE_ISSUED: "Certificate {serial} issued for {principals} until {until}: {fingerprint}",
    Event.CERTIFICATES_WITHDRAWN: "{count:certificate} withdrawn: {reason}",
    Event.PRINCIPAL_ADDED: "Principal {principal} added",
    Event.PRINCIPAL_REMOVED: "Principal {principal} removed",
    Event.PRACTICE_PRINCIPAL_ADDED: "Principal {principal} added to practice {name}",
    Event.PRACTICE_PRINCIPAL_REMOVED: "Principal {principal} removed from practice {name}",
    Event.TARGET_ADDED: "Target {name} added: {host}, port {port}, for {whom}",
    Event.TARGET_REMOVED: "Target {name} removed",
    Event.JUMP_OPENED: "Jump to {target} opened: {address}, port {port}",
    Event.JUMP_CLOSED: (
        "Jump to {target} closed after {seconds:second}, {sent:byte} sent, {received:byte} received: {reason}"
    ),
    Event.MESSAGE_RECEIVED: "Authorisation code received by text message from {sender}",
    Event.MESSAGE_REFUSED: "Authorisation code received from a sender that is not a phone number",
}


class _Detail:
    """A detail as a template writes it; with a noun after the colon, a count of that noun."""

    def __init__(self, value: object) -> None:
        self._words = str(value)

    def __format__(self, noun: str) -> str:
        if not noun:
            return self._words
        return f"{self._words} {noun}" if self._words == "1" else f"{self._words} {noun}s"


class _Details(dict[str, _Detail]):
    """Details that show a missing one as a visible gap, so that any old row can be shown."""

    def __missing__(self, key: str) -> _Detail:
        return _Detail("?")


def sentence(event: str, detail: Mapping[str, object]) -> str:
    """Return an audit row as a sentence; an event of a newer version is shown by its name."""
    try:
        template = _SENTENCES[Event(event)]
    except ValueError:
        return event
    return filled(template, detail)


def filled(template: str, detail: Mapping[str, object]) -> str:
    """Fill details into a template; a missing one becomes a question mark."""
    return template.format_map(_Details({key: _Detail(value) for key, value in detail.items()}))
