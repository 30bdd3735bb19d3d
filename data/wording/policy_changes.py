"""What a change of the policy does to people, and what it is now: for questions, screens and commands."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from data.operations.policy.needs_attention import NeedsAttention
from data.operations.policy.permanent_mode import Checklist
from data.operations.policy.policy_settings import MethodsPreview, ModePreview, PolicyView
from data.rules.deadline import Demand
from data.rules.domain_types import Method, Mode
from data.wording.certificates import are_withdrawn
from data.wording.words import Question, counted, day, mode_words


def affected(preview: ModePreview) -> list[str]:
    """Return whom a change of mode affects, one sentence for each group."""
    lines = [mode_words(Demand(preview.after, of_all=False, deadline=preview.deadline))]
    if preview.after is Mode.OFF:
        return [*lines, *_released(preview)]
    lines.append(
        f"{counted(preview.ready, 'person has', 'people have')} set it up and will be asked for a code."
    )
    if preview.pending:
        people = counted(preview.pending, "person", "people")
        pending = _first(preview.pending_names, preview.pending)
        lines.append(f"{people} must set it up at the next sign-in: {pending}.")
    else:
        lines.append("No one has to set it up at the next sign-in.")
    if preview.not_asked and preview.deadline:
        people = counted(preview.not_asked, "person has", "people have")
        names = _first(preview.not_asked_names, preview.not_asked)
        lines.append(f"{people} {counted(preview.days_left or 0, 'day')} to set it up: {names}.")
    elif preview.not_asked:
        lines.append(f"{counted(preview.not_asked, 'person', 'people')} will not be asked for a code.")
    if preview.you_must_set_up is not None:
        lines.append("You must set it up yourself." if preview.you_must_set_up else "You have nothing to do.")
    return lines


def _first(names: Sequence[str], count: int) -> str:
    others = count - len(names)
    return ", ".join(names) + (f" and {others} more" if others else "")


def _released(preview: ModePreview) -> list[str]:
    """Return who is asked for a code now but would not be with the mode off."""
    if preview.before is Mode.OFF:
        return []
    if not preview.released.count:
        return ["No one is asked for a code now."]
    people = counted(preview.released.count, "person", "people")
    return [f"{people} will sign in without a code: {preview.released.listed}. Their methods are kept."]


def attention(seen: NeedsAttention) -> list[str]:
    """Return who the administrators are and what needs attention."""
    lines = [f"Administrators: {seen.admins.listed}."]
    if seen.suspended_applications:
        lines.append(
            f"! Suspended for guessing codes: {', '.join(seen.suspended_applications)}. See Applications."
        )
    if seen.guessed.count:
        lines.append(
            f"! Passwords are being guessed for: {seen.guessed.listed}. This does not lock them out."
        )
    if seen.unprotected_admins.count:
        lines.append(f"! Administrators without a second factor: {seen.unprotected_admins.listed}.")
    if seen.unprotected.count:
        people = counted(seen.active, "user")
        lines.append(
            f"! {seen.unprotected.count} of {people} without a second factor: {seen.unprotected.listed}."
        )
    if seen.system_admins == 1:
        lines.append(
            "! Only one system administrator: no one could unlock this account. Appoint a second one."
        )
    return lines


def change_mode(preview: ModePreview) -> Question:
    """Describe a change of mode, or of the deadline of `required`."""
    if preview.before is preview.after:
        when = f"from {day(preview.deadline)}" if preview.deadline else "now"
        return Question(f"Require 2FA {when}?", "\n".join(affected(preview)), "Change")
    return Question(
        f"Change the mode from {preview.before.value} to {preview.after.value}?",
        "\n".join(affected(preview)),
        "Change",
    )


def without_reason(preview: ModePreview) -> str:
    """Return what a change puts off, which needs a reason."""
    before = preview.deadline_before
    return f"This puts the deadline{f' of {day(before)}' if before else ''} off. Give a reason"


def deadline(view: PolicyView) -> str:
    """Return what to add to the name of the mode about its deadline; empty if it has none ahead."""
    ahead = view.deadline_ahead
    return f" from {day(ahead)}, {_left(view)}" if ahead else ""


def times(view: PolicyView) -> list[str]:
    """Return sentences about the deadline that is ahead and about days of grace."""
    days = view.policy.grace_days
    return [
        *([f"{_left(view).capitalize()}."] if view.deadline_ahead else []),
        *(
            [f"New users have {counted(days, 'day')} to set it up while the mode is required."]
            if days
            else []
        ),
    ]


def _left(view: PolicyView) -> str:
    often = f", put off {counted(view.put_off, 'time')}" if view.put_off else ""
    return f"{counted(view.days_left or 0, 'day')} left{often}"


def checklist_lines(checklist: Checklist) -> list[str]:
    """Return the checklist for the permanent mode, one item a line; the marks do not depend on colour."""
    return [f"{'✓' if item.met else '✗'} {item.sentence}." for item in checklist.items]


def make_permanent(checklist: Checklist) -> str:
    """Describe entering the permanent mode."""
    warning = (
        "Everyone will have to use two-factor authentication. This cannot be undone: no administrator, "
        "operator or setting can change the mode again."
    )
    question = f"To confirm, type the account name: {checklist.account}"
    return "\n".join((warning, *checklist_lines(checklist), question))


def unsendable(methods: AbstractSet[Method]) -> str:
    """Return what must be set up before codes can be sent by these methods; empty if there are none."""
    sections = {Method.SMS: "[sms]", Method.EMAIL: "[smtp]"}
    named = [method for method in Method if method in methods]
    if not named:
        return ""
    listed_sections = " and ".join(sections[method] for method in named)
    labels = ", ".join(method.label for method in named).capitalize()
    return f"{labels}: the operator must set {listed_sections} in twofold.toml."


def change_methods(preview: MethodsPreview) -> Question:
    """Describe switching methods on and off."""
    return Question("Change the methods?", "\n".join(left_without(preview)), "Change")


def left_without(preview: MethodsPreview) -> list[str]:
    """Return which methods are switched, and who is left without one."""
    lines = [
        f"{method.label.capitalize()}: {'on' if method in preview.after else 'off'}."
        for method in Method
        if (method in preview.after) != (method in preview.before)
    ]
    if preview.without:
        others = preview.without - len(preview.without_names)
        names = ", ".join(preview.without_names) + (f" and {others} more" if others else "")
        lines.append(
            f"{counted(preview.without, 'person has', 'people have')} no other method and must set one up at "
            f"the next sign-in: {names}. They must enter a recovery code first; if they have none, clear "
            "their 2FA data."
        )
    elif preview.before - preview.after:
        lines.append("Everyone who has set up 2FA keeps a method that is on.")
    if preview.you_are_left:
        lines.append("You are one of them. Set up another method first.")
    if preview.certificates:
        lines.append(are_withdrawn(preview.certificates).strip())
    return lines
