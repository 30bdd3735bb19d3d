"""What each act on a user will do, in words, for the question before it."""

from collections.abc import Sequence

from data.operations.policy.needs_attention import NeedsAttention
from data.operations.policy.permanent_mode import Checklist
from data.operations.policy.policy_settings import MethodsPreview, ModePreview
from data.operations.signin.sessions import SessionRow
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_summaries import UserDetail
from data.rules.domain_types import Method, Mode, Policy, Status, UserFacts
from data.rules.invitations import HOURS as INVITATION_HOURS
from data.rules.passwords import ONE_TIME_HOURS
from data.rules.policy import ATTEMPTS, status
from data.rules.source_addresses import source_in_words
from data.rules.users_csv import PersonRow
from data.wording.words import MODE_WORDS, NAMED, Question, counted, listed, moment

OTHER_HANDS = (
    "Whatever else they have set up stays good, and so do the recovery codes. If the phone or the mailbox "
    "may be in other hands now"
)
"""What to think of after an address or a number was changed; what to do then follows."""
_INVITED = (
    "the ssh command, the host key's fingerprint and a one-time password, good for one sign-in within "
    f"{INVITATION_HOURS // 24} days. A former one-time password stops working. People with an SSH key, a "
    "password of their own, a second factor or a role are not invited."
)


def _without_factor(user: UserDetail, *, required: bool, lost: bool) -> str:
    """Say what comes after a user's factors are gone, by asking the rules."""
    facts = UserFacts(active=user.active, required=required, roles=user.roles, lost_factor=lost)
    match status(Policy(user.mode), facts):
        case Status.PENDING:
            return f"{user.name} must set it up again at the next sign-in."
        case Status.NOT_AVAILABLE:
            return "The mode is off, so nothing is asked of them until it is turned on under 3 Security."
        case _:
            return f"{user.name} signs in with the password or SSH key alone from then on."


def require(user: UserDetail) -> Question:
    """Describe requiring two-factor authentication, or stopping to."""
    if user.required:
        return Question(
            f"Stop requiring 2FA of {user.name}?",
            f"The flag of {user.name} is removed. What they have set up stays. Where the account or a role "
            "requires two-factor authentication, it is still asked.",
            "Stop requiring",
        )
    now = (
        "They have set it up already and cannot turn it off any more."
        if user.enrolled_at
        else f"{user.name} must set it up at the next sign-in."
    )
    rests = " While the mode is off this rests: turn it on under 3 Security." if user.mode is Mode.OFF else ""
    return Question(f"Require 2FA of {user.name}?", f"{now}{rests}", "Require")


def disable(user: UserDetail) -> Question:
    """Describe removing flag, factors and codes."""
    return Question(
        f"Disable 2FA of {user.name}?",
        f"All that {user.name} has set up, the recovery codes and the flag are removed. "
        + _without_factor(user, required=False, lost=False),
        "Disable",
    )


def clear(user: UserDetail) -> Question:
    """Describe removing factors and codes while keeping the flag."""
    return Question(
        f"Clear the 2FA data of {user.name}?",
        f"For a new or a lost phone: all that {user.name} has set up and the recovery codes are removed. "
        "Whether it is required of them stays as it is. "
        + _without_factor(user, required=user.required, lost=user.enrolled_at is not None),
        "Clear",
    )


def clear_too(user: UserDetail, saved: str) -> Question:
    """Offer to clear a user's two-factor data after their address or number was changed."""
    return Question(
        f"Clear the 2FA data of {user.name} too?",
        f"{saved} {OTHER_HANDS}, clear their 2FA data: {user.name} then sets all up again.",
        "Clear",
    )


def resync(user: UserDetail) -> Question:
    """Describe offering a resync."""
    return Question(
        f"Offer {user.name} a resync?",
        f"For a phone whose clock is up to ten minutes off. For an hour {user.name} can sign in by typing "
        "two codes that follow each other, one after the other at the question for a code. Make sure that it "
        "is them who asks: codes that someone saw are good for longer while the offer stands.",
        "Offer",
    )


def unlock(user: UserDetail) -> str:
    """Describe unlocking."""
    return (
        f"{user.name} can sign in again and has all {ATTEMPTS} attempts. Make sure that it was them: "
        "someone may know their password. The reason goes into the activity."
    )


def one_time_password(user: UserDetail) -> Question:
    """Describe a new one-time password."""
    return Question(
        f"New one-time password for {user.name}?",
        f"The present password of {user.name} stops working. The new one is shown to you once. It is good "
        f"for one sign-in within {ONE_TIME_HOURS} hours, in which they must replace it.",
        "Make one",
    )


def one_time_password_too(user: UserDetail) -> Question:
    """Offer a new one-time password after a clearing."""
    return Question(
        f"A new one-time password for {user.name} too?",
        f"Whoever knows the present password could set 2FA up before {user.name} does. With a new one-time "
        "password, which you hand over, only they can. The present one stops working.",
        "Make one",
    )


def deactivate(user: UserDetail) -> Question:
    """Describe deactivating a user."""
    return Question(
        f"Deactivate {user.name}?",
        f"{user.name} cannot sign in any more, and open sessions of theirs end. Nothing is deleted; "
        "they can be activated again.",
        "Deactivate",
    )


def delete(user: UserDetail) -> Question:
    """Describe deleting a user."""
    return Question(
        f"Delete {user.name}?",
        f"{user.name} cannot sign in any more, and open sessions of theirs end. Their e-mail address, phone "
        "number, full name, keys, factors and roles are removed, and nothing brings them back. The activity "
        "keeps the name, which nobody else can be given for seven days.",
        "Delete",
    )


def activate(user: UserDetail) -> Question:
    """Describe deactivating a user, or activating one again."""
    if user.active:
        return deactivate(user)
    return Question(
        f"Activate {user.name}?",
        f"{user.name} can sign in again, with what they had set up before.",
        "Activate",
    )


def invite(user: UserDetail) -> Question:
    """Describe inviting a user."""
    return Question(f"Invite {user.name} by e-mail?", f"To {user.email}: {_INVITED}", "Invite")


def act_on_many(names: Sequence[str], act: Bulk) -> Question:
    """Describe an act on many users."""
    people = counted(len(names), "user")
    match act:
        case Bulk.REQUIRE:
            title, yes = f"Require 2FA of {people}?", "Require"
            then = "Who has not set it up must do so at the next sign-in."
        case Bulk.CLEAR:
            title, yes = f"Clear the 2FA data of {people}?", "Clear"
            then = (
                "All that they have set up and their recovery codes go, and their open sessions end. "
                "Who had set it up must do so again at the next sign-in."
            )
        case Bulk.DEACTIVATE:
            title, yes = f"Deactivate {people}?", "Deactivate"
            then = "They cannot sign in any more, and open sessions of theirs end. Nothing is deleted."
        case Bulk.INVITE:
            title, yes = f"Invite {people} by e-mail?", "Invite"
            then = f"Each is sent {_INVITED}"
        case Bulk.REMIND:
            title, yes = f"Remind {people} by e-mail?", "Remind"
            then = "Who must set up two-factor authentication is reminded of it, once a day at most."
    return Question(title, f"{listed(names)}.\n{then}", f"{yes} {len(names)}")


def import_people(rows: Sequence[PersonRow]) -> Question:
    """Describe an import: the first of its users, and how many there are."""
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
    """Describe taking authenticator apps over from files."""
    return Question(
        f"Take over {counted(len(names), 'file')}?",
        f"{listed(names)}: the secret and the scratch codes of the file become theirs.",
        "Take over",
    )


def end_session(row: SessionRow) -> Question:
    """Describe ending someone's session."""
    source = source_in_words(row.application, row.address)
    return Question(
        f"End the session of {row.user}?",
        f"From {source}, since {moment(row.started_at)}. It closes within five "
        f"seconds. {row.user} can sign in again; to prevent that, deactivate them.",
        "End",
    )


def remove_practice(name: str) -> Question:
    """Describe removing a practice."""
    return Question(f"Remove practice {name}?", "Only a practice that nobody is in is removed.", "Remove")


def remove_key(fingerprint: str, whose: str) -> Question:
    """Describe removing an SSH key."""
    return Question("Remove this SSH key?", f"{fingerprint}\nIt does not sign {whose} in any more.", "Remove")


def turn_off() -> Question:
    """Describe turning one's own two-factor authentication off."""
    return Question(
        "Turn off two-factor authentication?",
        "All that you have set up and your recovery codes are removed. You sign in with your password or "
        "SSH key alone from then on.",
        "Turn off",
    )


def new_recovery_codes(left: int) -> Question:
    """Describe making new recovery codes."""
    return Question(
        "Make new recovery codes?",
        f"Five new codes are made and shown to you. The old ones ({left} left) stop working.",
        "Make new ones",
    )


def affected(preview: ModePreview) -> list[str]:
    """Say whom a change of the mode affects, a sentence for each group."""
    lines = [MODE_WORDS[preview.after]]
    if preview.after is Mode.OFF:
        return [*lines, *_released(preview)]
    lines.append(
        f"{counted(preview.ready, 'person has', 'people have')} set it up and will be asked for a code."
    )
    if preview.pending:
        others = preview.pending - len(preview.pending_names)
        names = ", ".join(preview.pending_names) + (f" and {others} more" if others else "")
        lines.append(
            f"{counted(preview.pending, 'person', 'people')} must set it up at the next sign-in: {names}."
        )
    else:
        lines.append("Nobody has to set it up at the next sign-in.")
    if preview.not_asked:
        lines.append(f"{counted(preview.not_asked, 'person is', 'people are')} not asked for a code.")
    if preview.you_must_set_up is not None:
        lines.append(
            "You must set it up yourself." if preview.you_must_set_up else "You need not set anything up."
        )
    return lines


def _released(preview: ModePreview) -> list[str]:
    """Say who is asked for a code now and would not be with the mode off."""
    if preview.before is Mode.OFF:
        return []
    if not preview.released.count:
        return ["Nobody is asked for a code now."]
    people = counted(preview.released.count, "person signs", "people sign")
    return [f"{people} in without a code from then on: {preview.released.listed}. What they set up is kept."]


def attention(seen: NeedsAttention) -> list[str]:
    """Say who protects others, who is in danger, and what would be better."""
    lines = [f"Administrators: {seen.admins.listed}."]
    if seen.guessed.count:
        lines.append(f"! Passwords are being guessed for: {seen.guessed.listed}. Nobody is locked by it.")
    if seen.unprotected_admins.count:
        lines.append(f"! Administrators without a second factor: {seen.unprotected_admins.listed}.")
    if seen.unprotected.count:
        people = counted(seen.active, "person has", "people have")
        lines.append(f"! {seen.unprotected.count} of {people} no second factor: {seen.unprotected.listed}.")
    if seen.system_admins == 1:
        lines.append("! Only one system administrator: nobody could unlock them. Make someone else one too.")
    return lines


def needs_attention_most(seen: NeedsAttention) -> str:
    """Say in one line what of `attention` matters most; key w shows the whole."""
    if seen.guessed.count:
        lacking = f"! Passwords are being guessed for: {seen.guessed.listed}"
    elif seen.unprotected_admins.count:
        lacking = f"! Administrators without a second factor: {seen.unprotected_admins.listed}"
    elif seen.unprotected.count:
        lacking = f"! Without a second factor: {seen.unprotected.listed}"
    elif seen.system_admins == 1:
        lacking = "! Only one system administrator: nobody could unlock them"
    else:
        return f"Administrators: {seen.admins.listed} (w)"
    return f"{lacking} (w)"


def change_mode(preview: ModePreview) -> Question:
    """Describe a change of the mode."""
    return Question(
        f"Change the mode from {preview.before.value} to {preview.after.value}?",
        "\n".join(affected(preview)),
        "Change",
    )


def checklist_lines(checklist: Checklist) -> list[str]:
    """Write the checklist of the mode permanent, an item a line; each mark is a sign and not a colour."""
    return [f"{'✓' if item.met else '✗'} {item.sentence}." for item in checklist.items]


def make_permanent(checklist: Checklist) -> str:
    """Describe entering the mode permanent."""
    warning = (
        "From then on everyone must use two-factor authentication, and nobody can change the mode again: "
        "no administrator, no operator, no setting."
    )
    question = f"To confirm, type the name of the account: {checklist.account}"
    return "\n".join((warning, *checklist_lines(checklist), question))


def change_methods(preview: MethodsPreview) -> Question:
    """Describe switching methods on and off."""
    return Question("Change the methods?", "\n".join(left_without(preview)), "Change")


def left_without(preview: MethodsPreview) -> list[str]:
    """Say which methods are switched, and whom that leaves without a usable one."""
    lines = [
        f"{method.label.capitalize()}: {'on' if method in preview.after else 'off'} from now on."
        for method in Method
        if (method in preview.after) != (method in preview.before)
    ]
    if preview.without:
        others = preview.without - len(preview.without_names)
        names = ", ".join(preview.without_names) + (f" and {others} more" if others else "")
        lines.append(
            f"{counted(preview.without, 'person has', 'people have')} nothing else set up and must do so at "
            f"the next sign-in: {names}. A recovery code is asked of them first; of who has none to hand, "
            "clear the 2FA data."
        )
    elif preview.before - preview.after:
        lines.append("Everyone who has set it up keeps a method that is on.")
    if preview.you_are_left:
        lines.append("You are among them: set another method up first.")
    return lines
