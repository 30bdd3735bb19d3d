"""The form under Security for the deadline of the mode `required` and for days of grace."""

from datetime import date
from functools import partial

from data.operations.policy import deadlines, policy_settings
from data.operations.policy.policy_settings import PolicyView
from data.operations.results import Denied, Done
from data.rules.deadline import MOST_GRACE_DAYS, REASON_LIMIT, read_deadline
from data.rules.domain_types import Mode
from data.wording import policy_changes
from data.wording.words import day
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog
from tui.screens.base_app import ActingApp

_DAY_LENGTH = 10
_NOT_CONFIRMED = Denied("Not confirmed. Nothing was changed.")


async def change_deadline(app: ActingApp, view: PolicyView) -> bool:
    """Ask for a deadline and days of grace, and change what differs; return whether that was done."""

    def form(typed: tuple[str, ...] | None, fault: str) -> FormDialog:
        first, reason, days = typed or (
            day(view.deadline_ahead, ""),
            "",
            str(view.policy.grace_days),
        )
        now = "; empty for now" if view.policy.mode is Mode.REQUIRED else ""
        fields = [
            Field(f"First day, in UTC{now}", _DAY_LENGTH, first, "2027-02-01"),
            Field("Reason, to put it off", REASON_LIMIT, reason),
            Field(f"Days of grace for new users, 0 to {MOST_GRACE_DAYS}", 2, days),
        ]
        return FormDialog("Require two-factor authentication from", fields, yes="Next", fault=fault)

    return await app.fill_in(form, partial(_change, app, view)) is not None


async def _change(app: ActingApp, view: PolicyView, typed: tuple[str, ...]) -> Done | Denied:
    """Change the deadline, after whom it affects was shown, then the days of grace."""
    first, reason, days = typed
    wanted = read_deadline(first, days)
    if isinstance(wanted, str):
        return Denied(wanted)
    done: Done | Denied = Done("Nothing was changed.")
    ahead = view.deadline_ahead
    if wanted.day != (ahead and ahead.date()):
        done = await _set_deadline(app, wanted.day, reason)
    if isinstance(done, Denied) or wanted.grace_days == view.policy.grace_days:
        return done
    return await app.submit(deadlines.set_grace_days, wanted.grace_days, seen=view.policy.grace_days)


async def _set_deadline(app: ActingApp, wanted: date | None, reason: str) -> Done | Denied:
    preview = await app.read(policy_settings.preview_mode, Mode.REQUIRED, wanted)
    if preview is None:
        return _NOT_CONFIRMED
    if preview.refusal:
        return Denied(preview.refusal)
    if preview.puts_off and not reason.strip():
        return Denied(f"{policy_changes.without_reason(preview)}.")
    if not await app.push_screen_wait(ConfirmDialog(policy_changes.change_mode(preview))):
        return _NOT_CONFIRMED
    if preview.before is Mode.REQUIRED:
        seen = preview.deadline_before
        return await app.submit(deadlines.set_deadline, wanted, seen=seen, reason=reason)
    return await app.submit(
        policy_settings.set_mode, Mode.REQUIRED, seen=preview.before, day=wanted, reason=reason
    )
