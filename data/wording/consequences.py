"""What each action will do, in words, for the question before it."""

from collections.abc import Sequence

from data.operations.signin.sessions import SessionRow
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_summaries import UserDetail
from data.rules.domain_types import Mode, Status, UserFacts
from data.rules.invitations import HOURS as INVITATION_HOURS
from data.rules.passwords import ONE_TIME_HOURS
from data.rules.policy import ATTEMPTS
from data.rules.recovery_codes import TEMPORARY_HOURS
from data.rules.source_addresses import source_in_words
from data.rules.user_status import standing_of, status_of
from data.rules.users_csv import PersonRow
from data.wording.certificates import are_withdrawn
from data.wording.words import NAMED, Question, counted, days_left, listed, moment

OTHER_HANDS = (
    "Their other methods and recovery codes still work. If someone else may now have the phone or the mailbox"
)
"""What to consider after an address or a number was changed; what to do follows it."""
LOST_PHONE = (
    "You signed in with a temporary code. If your phone is lost, set up another one now: for five minutes, "
    "this needs no other code. The old phone then stops working."
)
"""What to do after a sign-in with a temporary code; how not to follows it."""
_INVITED = (
    "the ssh command, the host key's fingerprint and a one-time password for one sign-in within "
    f"{INVITATION_HOURS // 24} days. Earlier one-time passwords stop working. Users who have an SSH key, "
    "their own password, a second factor or a role cannot be invited."
)


def _without_factor(user: UserDetail, *, required: bool, lost: bool) -> str:
    """Return what the rules ask of a user whose factors are gone."""
    facts = UserFacts(active=user.active, required=required, roles=user.roles, lost_factor=lost)
    match status_of(user.demand, standing_of(facts)):
        case Status.PENDING:
            return f"{user.name} must set it up at the next sign-in."
        case Status.NOT_AVAILABLE:
            return "2FA is off: no code is asked for until it is turned on under 3 Security."
        case _:
            return f"{user.name} then signs in with a password or SSH key alone."


def require(user: UserDetail) -> Question:
    """Describe requiring two-factor authentication, or stopping to."""
    if user.required:
        return Question(
            f"Stop requiring 2FA for {user.name}?",
            f"{user.name} is no longer required individually. Their methods are kept. 2FA is still required "
            "if the account or a role requires it.",
            "Stop requiring",
        )
    now = (
        f"{user.name} has already set it up and can no longer turn it off."
        if user.enrolled_at
        else f"{user.name} must set it up at the next sign-in."
    )
    rests = " Takes effect when 2FA is turned on under 3 Security." if user.mode is Mode.OFF else ""
    return Question(f"Require 2FA for {user.name}?", f"{now}{rests}", "Require")


def disable(user: UserDetail) -> Question:
    """Describe removing the requirement, all factors and all codes."""
    return Question(
        f"Disable 2FA for {user.name}?",
        f"Removes everything {user.name} has set up, the recovery codes and the individual requirement. "
        + _without_factor(user, required=False, lost=False)
        + are_withdrawn(len(user.certificates)),
        "Disable",
    )


def clear(user: UserDetail) -> Question:
    """Describe removing factors and codes but keeping the requirement."""
    return Question(
        f"Clear the 2FA data of {user.name}?",
        f"For a new or lost phone. Removes everything {user.name} has set up and the recovery codes. "
        "Whether 2FA is required does not change. "
        + _without_factor(user, required=user.required, lost=user.enrolled_at is not None)
        + are_withdrawn(len(user.certificates)),
        "Clear",
    )


def clear_too(user: UserDetail, saved: str) -> Question:
    """Offer to clear a user's two-factor data after their address or number was changed."""
    return Question(
        f"Also clear the 2FA data of {user.name}?",
        f"{saved} {OTHER_HANDS}, clear their 2FA data: {user.name} must set everything up again."
        f"{are_withdrawn(len(user.certificates))}",
        "Clear",
    )


def resync(user: UserDetail) -> Question:
    """Describe offering a resync of a phone's clock."""
    return Question(
        f"Offer {user.name} a resync?",
        f"For a phone whose clock is up to ten minutes off. For one hour, {user.name} can sign in with two "
        f"consecutive codes, entered one after the other. Make sure the request comes from {user.name}: "
        "until the offer expires, a code that someone else saw works for longer.",
        "Offer",
    )


def unlock(user: UserDetail) -> str:
    """Describe unlocking."""
    return (
        f"{user.name} can sign in again and has all {ATTEMPTS} attempts. First make sure the wrong codes "
        f"came from {user.name}: someone else may know the password. The reason is logged."
    )


def one_time_password(user: UserDetail) -> Question:
    """Describe a new one-time password."""
    return Question(
        f"New one-time password for {user.name}?",
        f"The current password of {user.name} stops working. The new one is shown once and works for one "
        f"sign-in within {ONE_TIME_HOURS} hours. They must then choose a password of their own."
        f"{are_withdrawn(len(user.certificates))}",
        "Create",
    )


def temporary_code(user: UserDetail, hours: int = TEMPORARY_HOURS) -> Question:
    """Describe a new temporary code."""
    return Question(
        f"Temporary code for {user.name}?",
        f"For a phone that is lost or not at hand. The code is shown once and works for one sign-in within "
        f"{counted(hours, 'hour')}. An earlier temporary code stops working; what {user.name} has set up "
        f"stays. Make sure that the request comes from {user.name}.",
        "Create",
    )


def replace_phone() -> Question:
    """Offer to replace the phone after a sign-in with a temporary code."""
    return Question(
        "Replace the phone?",
        f"{LOST_PHONE} If you only left it somewhere, press Cancel.",
        "Replace",
    )


def set_up_in_time(days: int) -> Question:
    """Offer users who have days left to set up two-factor authentication now."""
    return Question(
        "Set up two-factor authentication?",
        f"{days_left(days)} It takes a few minutes: have your phone ready. If you press Later, you are asked "
        "again at your next sign-in.",
        "Set up now",
        "Later",
    )


def one_time_password_too(user: UserDetail) -> Question:
    """Offer a new one-time password after a clearing."""
    return Question(
        f"Also create a one-time password for {user.name}?",
        f"Anyone who knows the current password could set up 2FA before {user.name} does. With a one-time "
        f"password that you hand over, only {user.name} can. The current password stops working.",
        "Create",
    )


def deactivate(user: UserDetail) -> Question:
    """Describe deactivating a user."""
    return Question(
        f"Deactivate {user.name}?",
        f"{user.name} can no longer sign in, and their open sessions end. Nothing is deleted; you can "
        f"activate them again.{are_withdrawn(len(user.certificates))}",
        "Deactivate",
    )


def delete(user: UserDetail) -> Question:
    """Describe deleting a user."""
    return Question(
        f"Delete {user.name}?",
        f"{user.name} can no longer sign in, and their open sessions end. Their e-mail address, phone "
        "number, full name, keys, factors and roles are removed. This cannot be undone. The name stays in "
        "the audit log and cannot be given to anyone else for seven days."
        f"{are_withdrawn(len(user.certificates))}",
        "Delete",
    )


def activate(user: UserDetail) -> Question:
    """Describe deactivating a user, or activating one again."""
    if user.active:
        return deactivate(user)
    return Question(
        f"Activate {user.name}?",
        f"{user.name} can sign in again, with everything they had set up before.",
        "Activate",
    )


def invite(user: UserDetail) -> Question:
    """Describe inviting a user."""
    return Question(f"Invite {user.name} by e-mail?", f"{user.email} receives {_INVITED}", "Invite")


def move(name: str, practice: str, certificates: int) -> Question:
    """Describe a move to another practice that withdraws this many certificates."""
    return Question(f"Move {name} to {practice}?", are_withdrawn(certificates).strip(), "Move")


def act_on_many(names: Sequence[str], act: Bulk, detail: str = "", certificates: int = 0) -> Question:
    """Describe an action on many users that withdraws this many certificates.

    `detail` is the practice of a move.
    """
    people = counted(len(names), "user")
    match act:
        case Bulk.REQUIRE:
            title, yes = f"Require 2FA for {people}?", "Require"
            then = "Anyone who has not set it up must do so at the next sign-in."
        case Bulk.DISABLE:
            title, yes = f"Disable 2FA for {people}?", "Disable"
            then = (
                "Removes everything they have set up, their recovery codes and the individual requirement, "
                "and ends their open sessions. Unless the account or a role requires 2FA, they then sign in "
                "with a password or SSH key alone."
            )
        case Bulk.UNLOCK:
            title, yes = f"Unlock {people}?", "Unlock"
            then = (
                f"They can sign in again and have all {ATTEMPTS} attempts. First make sure the wrong codes "
                "came from them: someone else may know their passwords. The reason is logged for each."
            )
        case Bulk.PASSWORD:
            title, yes = f"New one-time passwords for {people}?", "Create"
            then = (
                "Their current passwords stop working. The new ones are shown once, and each works for one "
                f"sign-in within {ONE_TIME_HOURS} hours. They must then choose a password of their own."
            )
        case Bulk.MOVE:
            title, yes = f"Move {people} to {detail}?", "Move"
            then = "The same policy applies there."
        case Bulk.CLEAR:
            title, yes = f"Clear the 2FA data of {people}?", "Clear"
            then = (
                "Removes everything they have set up and their recovery codes, and ends their open sessions. "
                "Anyone who had set it up must do so again at the next sign-in."
            )
        case Bulk.DEACTIVATE:
            title, yes = f"Deactivate {people}?", "Deactivate"
            then = "They can no longer sign in, and their open sessions end. Nothing is deleted."
        case Bulk.INVITE:
            title, yes = f"Invite {people} by e-mail?", "Invite"
            then = f"Each receives {_INVITED}"
        case Bulk.REMIND:
            title, yes = f"Remind {people} by e-mail?", "Remind"
            then = "Anyone who must still set up 2FA receives a reminder, at most once a day."
    body = f"{listed(names)}.\n{then}{are_withdrawn(certificates)}"
    return Question(title, body, f"{yes} {len(names)}")


def import_people(rows: Sequence[PersonRow]) -> Question:
    """Describe an import: its first users, and how many there are."""
    shown = [
        f"{row.name}  {row.email}  {row.full_name}{'  2FA required' if row.required else ''}"
        f"{'  with a key' if row.key else ''}"
        for row in rows[:NAMED]
    ]
    more = [f"… and {len(rows) - NAMED} more"] if len(rows) > NAMED else []
    keyless = sum(row.key is None for row in rows)
    after = (
        [f"{counted(keyless, 'user')} without a key will need an invitation or a one-time password."]
        if keyless
        else []
    )
    return Question(f"Import {counted(len(rows), 'user')}?", "\n".join([*shown, *more, *after]), "Import")


def take_over(names: Sequence[str]) -> Question:
    """Describe importing Google Authenticator files."""
    return Question(
        f"Import {counted(len(names), 'file')}?",
        f"Each user gets the secret and the scratch codes from their file: {listed(names)}.",
        "Import",
    )


def end_session(row: SessionRow) -> Question:
    """Describe ending someone's session."""
    source = source_in_words(row.application, row.address)
    return Question(
        f"End the session of {row.user}?",
        f"Open since {moment(row.started_at)}, {source}. It closes within five seconds. {row.user} can sign "
        "in again; to prevent that, deactivate them.",
        "End",
    )


def end_own_sessions(*, only_one: bool) -> Question:
    """Describe ending other sessions of one's own."""
    what = "that session" if only_one else "all other sessions"
    closes = "It closes" if only_one else "They close"
    return Question(f"End {what}?", f"{closes} within five seconds.", "End")


def remove_practice(name: str) -> Question:
    """Describe removing a practice."""
    return Question(
        f"Remove practice {name}?", "A practice can be removed only when it has no users.", "Remove"
    )


def remove_key(fingerprint: str, whose: str, certificates: int) -> Question:
    """Describe removing an SSH key, and with it this many certificates."""
    then = f"It will no longer sign {whose} in.{are_withdrawn(certificates)}"
    return Question("Remove this SSH key?", f"{fingerprint}\n{then}", "Remove")


def turn_off(certificates: int) -> Question:
    """Describe turning one's own two-factor authentication off, with this many certificates."""
    return Question(
        "Turn off two-factor authentication?",
        "Removes everything you have set up and your recovery codes. You then sign in with your password or "
        f"SSH key alone.{are_withdrawn(certificates)}",
        "Turn off",
    )


def new_recovery_codes(left: int) -> Question:
    """Describe creating new recovery codes."""
    return Question(
        "Create new recovery codes?",
        f"You get five new codes. The old ones ({left} left) stop working.",
        "Create",
    )
