"""The account's two-factor policy."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Button, Checkbox, RadioButton, RadioSet, Static

from data.delivery.trial_messages import send_test
from data.operations.policy import delivery_tests, overview, permanent_mode, policy_settings
from data.operations.policy.delivery_tests import CarrierState
from data.operations.policy.policy_settings import ModePreview, PolicyView
from data.operations.results import Denied, Done
from data.rules.domain_types import Method, Mode, PolicyNotice, Status
from data.rules.remembered_addresses import MAX_DAYS, period_in_short
from data.rules.safe_text import safe
from data.rules.user_fields import EMAIL_LIMIT, PHONE_LIMIT, TEXT_LIMIT
from data.wording import overview as wording
from data.wording import policy_changes
from data.wording.words import counted, day, moment
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog
from tui.keys import Act
from tui.screens.base_screen import MainScreen, in_background, working
from tui.screens.security_certificates import change_certificates
from tui.screens.security_deadline import change_deadline
from tui.widgets.action_bar import ActionBar, Offer, WhoCan
from tui.widgets.fields import Choice, Switches, TickBox
from tui.widgets.hanging_lines import HangingLines
from tui.widgets.section_title import SectionTitle
from tui.widgets.status_line import Tone
from tui.widgets.status_marks import marked

_DESTINATIONS = {
    Method.EMAIL: ("E-mail address", EMAIL_LIMIT),
    Method.SMS: ("Phone number", PHONE_LIMIT),
}
_TEST = Offer(Act.TEST, "Send a test message", "test_delivery")
_DEADLINE = Offer(Act.REQUIRE, "Deadline and grace", "deadline")
_CERTIFICATES = Offer(Act.CERTIFICATES, "Certificates", "certificates")
_CHANGES = (
    *("choose", "apply", "undo", "deadline", "methods", "remember_days", "certificates", "test_delivery"),
)
"""Actions that are offered to those who may make the change."""
_PADLOCK = (" ╭─╮ ", "┌┴─┴┐", "│ • │", "└───┘")


class _Modes(RadioSet, inherit_bindings=False):
    """Of the modes an arrow key chooses one at once; Enter is left to the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.UP.binding("screen.choose(-1)", "Previous choice", show=False),
        Act.DOWN.binding("screen.choose(1)", "Next choice", show=False),
    ]


class SecurityScreen(MainScreen):
    """The mode, whom a change would affect, and counts by status."""

    TAB = "security"
    TOPIC = "policy"
    AUTO_FOCUS = "RadioSet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.OPEN.binding("apply", "Apply", tooltip="Apply the chosen mode"),
        Act.SET_UP.binding("methods", "Methods", tooltip="Go to the methods and notices; Space switches one"),
        Act.REQUIRE.binding("deadline", "Deadline", tooltip="Require 2FA from a day on; days of grace"),
        Act.EDIT.binding("remember_days", "Days", tooltip="Days to remember addresses"),
        Act.CERTIFICATES.binding(tooltip="How long certificates are valid, and what they permit"),
        Act.ATTENTION.binding(tooltip="Go to what needs attention"),
        Act.TEST.binding("test_delivery", tooltip="Send a test message"),
        Act.BACK.binding("undo", "Undo", tooltip="Back to the current mode"),
    ]

    view: var[PolicyView | None] = var(None, init=False, always_update=True, bindings=True)
    chosen: var[Mode | None] = var(None, init=False, bindings=True)
    """The chosen mode, or None for the current one, which may not have been read yet."""
    _preview: ModePreview | None = None
    _turned: dict[str, bool]
    """The switches that were turned and are yet to be acted on, by method or notice."""
    _steps_ahead = 0
    """The arrow keys pressed before the mode was read: down minus up."""

    def __init__(self) -> None:
        super().__init__()
        self._turned = {}

    def body(self) -> Iterator[Widget]:
        """Yield the widgets; their content is read after the first frame."""
        scroll = VerticalScroll(id="detail", can_focus=False)
        for part in (
            SectionTitle("Two-factor authentication", id="mode", classes="title"),
            Static("", id="padlock", classes="hidden", markup=False),
            Static("", id="people", markup=False),
            Static("", id="attention", markup=False),
            WhoCan(),
            _Modes(*(Choice(mode.value.capitalize(), name=mode.value) for mode in Mode), compact=True),
            Static("", id="preview", markup=False),
            Button("Apply", variant="primary", compact=True, disabled=True),
            SectionTitle("Methods", id="methods-title", classes="title methods"),
            Switches(
                *(
                    TickBox(method.label.capitalize(), name=method.value, classes="method", compact=True)
                    for method in Method
                ),
                id="methods",
                classes="unread",
            ),
            Static("", id="unsendable", classes="hint hidden", markup=False),
            Static("", id="delivery", classes="hidden", markup=False),
            SectionTitle("Notices by e-mail", id="notices-title", classes="title methods"),
            Switches(
                *(
                    TickBox(notice.label.capitalize(), name=notice.value, classes="method", compact=True)
                    for notice in PolicyNotice
                ),
                id="notices",
                classes="unread",
            ),
            SectionTitle("Remembered addresses", id="days-title", classes="title methods"),
            ActionBar(),
        ):
            scroll.compose_add_child(part)
        yield scroll

    async def read(self) -> None:
        """Read the policy and the counts; keep the chosen mode unless someone else changed the mode."""
        view = await self.app.read(policy_settings.show_policy)
        seen = await self.app.read(overview.show_overview)
        carriers = await self.app.read(delivery_tests.show_delivery)
        if view is None or seen is None or carriers is None:
            return
        most = [
            f"! {safe(wording.attention(found), 400)} ({Act.ATTENTION.shown} shows all)"
            for found in seen.attention[:1]
        ]
        shown = self.query_one("#attention", Static)
        shown.set_class(not most, "empty")
        shown.update(HangingLines("".join(most)))
        self._show_delivery(carriers)
        is_changed = self.view is not None and self.view.policy.mode is not view.policy.mode
        if is_changed or self.chosen not in view.modes:
            self.set_reactive(SecurityScreen.chosen, None)
        await self._show_preview(self.chosen or view.policy.mode, view)
        self.view = view

    def watch_view(self, view: PolicyView) -> None:
        """Show the policy and how it can be changed."""
        mode = view.policy.mode
        since = f" from {day(view.deadline_ahead)}" if view.deadline_ahead else ""
        self.query_one("#mode", SectionTitle).words = f"Two-factor authentication is {mode.value}{since}"
        self._show_padlock(view)
        for button in self.query(RadioButton):
            button.display = button.name in view.modes | {mode}
        self.query_one(RadioSet).display = self.query_one(Button).display = bool(view.modes)
        self.query_one(WhoCan).say(view.who_can if mode is not Mode.PERMANENT else "")
        self._show_methods(view)
        self._show_days(view)
        counts = [
            marked(status, f"{status.value} {view.people[status]}")
            for status in Status
            if view.people.get(status)
        ]
        self.query_one("#people", Static).update(
            Content.assemble(
                "Users: ",
                Content("  ").join(counts),
                f"\nOne policy for all of {safe(view.account)} ({counted(view.practices, 'practice')}).",
                "".join(f"\n{sentence}" for sentence in policy_changes.times(view)),
            )
        )
        if self._steps_ahead and mode is not Mode.PERMANENT:
            self.action_choose(self._steps_ahead)
        self._steps_ahead = 0
        self.watch_chosen()

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        """Choose the mode of the pressed button."""
        if event.pressed.value:
            self.chosen = Mode(event.pressed.name or "")

    def watch_chosen(self) -> None:
        """Press the button of the chosen mode and show whom it would affect, once the policy is read."""
        if self.view is None:
            return
        mode = self.chosen or self.view.policy.mode
        for button in self.query(RadioButton):
            if button.name == mode.value:
                button.value = True
        if not self._is_previewed(mode):
            in_background(self, partial(self._show_preview, mode, self.view), "previewing", latest_only=True)

    def _is_previewed(self, mode: Mode) -> bool:
        return self._preview is not None and self._preview.after is mode

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Switch a notice, or a method after confirmation.

        The box itself may show something else by now: reading the policy sets it.
        """
        event.stop()
        if self.view is not None:
            self._turned[event.checkbox.name or ""] = event.value
            in_background(self, self._switch_when_idle, "switching", latest_only=True)

    async def _switch_when_idle(self) -> None:
        """Switch when no action is running, so that a ticked box always leads to a question."""
        await self.until_idle()
        self._switch()

    def action_methods(self) -> None:
        """Go to the switches of the methods and the notices."""
        for box in [box for box in self.query(Checkbox) if not box.disabled][:1]:
            box.focus()

    @working
    async def _switch(self) -> None:
        """Turn what was ticked on or off, whatever else was changed since the screen read the policy."""
        turned, self._turned = self._turned, {}
        present = await self.app.read(policy_settings.show_policy)
        if present is None:
            return
        for notice in PolicyNotice:
            is_on = notice in present.policy.notices
            if turned.get(notice, is_on) is not is_on:
                await self.app.act(policy_settings.set_notice, notice, on=not is_on)
        wanted = frozenset(
            method for method in Method if turned.get(method, method in present.policy.methods)
        )
        preview = await self.app.read(policy_settings.preview_methods, wanted)
        if preview is None or preview.before == wanted:
            return
        if preview.refusal:
            self.app.report(Denied(preview.refusal))
        elif await self.app.push_screen_wait(ConfirmDialog(policy_changes.change_methods(preview))):
            await self.app.act(policy_settings.set_methods, wanted, seen=preview.before)

    def _show_methods(self, view: PolicyView) -> None:
        # A switch that is yet to be acted on stays as it was turned: the next press must turn it back.
        with self.prevent(Checkbox.Changed):
            for box in self.query_one("#methods").query(Checkbox):
                box.value = self._turned.get(box.name or "", box.name in view.policy.methods)
                box.disabled = box.name not in view.switchable
            for box in self.query_one("#notices").query(Checkbox):
                box.value = self._turned.get(box.name or "", box.name in view.policy.notices)
                box.disabled = not view.may_set_days
        words = f"Methods ({Act.SET_UP.shown})" if view.switchable else "Methods"
        self.query_one("#methods-title", SectionTitle).words = words
        is_first = view.may_set_days and not view.switchable
        words = f"Notices by e-mail ({Act.SET_UP.shown})" if is_first else "Notices by e-mail"
        self.query_one("#notices-title", SectionTitle).words = words
        self.query("Switches").remove_class("unread")
        missing = policy_changes.unsendable(view.unsendable) if view.may_set_days else ""
        shown = self.query_one("#unsendable", Static)
        shown.set_class(not missing, "hidden")
        shown.update(missing)

    def _show_days(self, view: PolicyView) -> None:
        now = period_in_short(view.policy.remember_days)
        title = "Remembered addresses" if view.may_set_days else f"Remembered addresses: {now}"
        self.query_one("#days-title", SectionTitle).words = title
        offers = [Offer(Act.EDIT, f"Change (now: {now})", "remember_days"), _DEADLINE, _CERTIFICATES, _TEST]
        self.query_one(ActionBar).offer([offer for offer in offers if self.offers(offer.action, ())])

    def _show_delivery(self, states: Sequence[CarrierState]) -> None:
        shown = self.query_one("#delivery", Static)
        errors = [safe(state.sentence, 400) for state in states if state.sentence]
        shown.set_class(not errors, "hidden")
        shown.update(HangingLines("\n".join(errors)))

    @working
    async def action_test_delivery(self) -> None:
        """Send a test message by a chosen method and show how its carrier answered."""
        states = await self.app.read(delivery_tests.show_delivery)
        if not states:
            return
        method = states[0].method
        if len(states) > 1:
            choices = [(state.method.label.capitalize(), state.method) for state in states]
            chosen = await self.app.push_screen_wait(ChooseDialog("Send a test message", choices))
            if chosen is None:
                return
            method = chosen[0]
        label, limit = _DESTINATIONS[method]

        def form(typed: tuple[str, ...] | None, fault: str) -> FormDialog:
            field = Field(label, limit, typed[0] if typed else "")
            return FormDialog(f"Send a test by {method.label}", [field], yes="Send", fault=fault)

        sent = await self.app.fill_in(
            form, lambda typed: self.app.submit(send_test, self.app.carriers, method, typed[0])
        )
        if sent is not None and sent.taken:
            self.app.say(f"Test message sent. {sent.sentence}", Tone.DONE)
        elif sent is not None:
            self.app.say(f"The test message was not sent. {sent.sentence}", Tone.REFUSED)

    def on_button_pressed(self) -> None:
        """Apply the chosen mode."""
        self.action_apply()

    async def _show_preview(self, mode: Mode, view: PolicyView) -> None:
        """Show whom a mode would affect if it were applied now; the present one, with its deadline.

        If another one is chosen by the time that is read, nothing is shown: that one has its own preview.
        """
        ahead = view.deadline_ahead if mode is view.policy.mode else None
        preview = await self.app.read(policy_settings.preview_mode, mode, ahead and ahead.date())
        if preview is None:
            return
        changes = preview.before is not preview.after
        lines = policy_changes.affected(preview)
        if changes and mode is Mode.PERMANENT:
            checklist = await self.app.read(permanent_mode.show_checklist)
            lines = [lines[0], *(policy_changes.checklist_lines(checklist) if checklist else [])]
        if mode is not (self.chosen or view.policy.mode):
            return
        self._preview = preview
        if changes and preview.refusal:
            lines.append(f"✗ {preview.refusal}")
        # The preview replaces what needs attention: small terminals have no room for both.
        self.query_one("#attention").display = not changes
        shown = HangingLines("\n".join(safe(line, 400) for line in lines))
        self.query_one("#preview", Static).update(shown)
        self.query_one(Button).disabled = not changes or preview.refusal is not None
        self.refresh_bindings()

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the modes that the user may change to, and what else they may change."""
        view = self.view
        if action not in _CHANGES:
            return super().offers(action, parameters)
        if view is None:
            return None
        present, chosen = view.policy.mode, self.chosen or view.policy.mode
        return {
            "choose": bool(view.modes),
            "apply": chosen is not present and not self._refused(chosen),
            "undo": chosen is not present,
            "deadline": view.may_set_days and (present is Mode.REQUIRED or Mode.REQUIRED in view.modes),
            "methods": bool(view.switchable) or view.may_set_days,
            "remember_days": view.may_set_days,
            "certificates": view.may_set_days,
            "test_delivery": view.may_test,
        }[action]

    def _refused(self, mode: Mode) -> bool:
        """Whether the preview of a mode is known and says why the change cannot be made."""
        return self._preview is not None and self._preview.after is mode and bool(self._preview.refusal)

    def _show_padlock(self, view: PolicyView) -> None:
        padlock = self.query_one("#padlock", Static)
        is_permanent = view.policy.mode is Mode.PERMANENT
        if is_permanent and padlock.has_class("hidden"):
            self.call_after_refresh(self.query_one("#detail").scroll_home, animate=False)
        padlock.set_class(not is_permanent, "hidden")
        words = (
            "",
            f"Permanent since {moment(view.permanent_since, 'an unknown date')}.",
            f"Set by {safe(view.permanent_by or 'unknown')}.",
            "No one can change the mode again.",
        )
        padlock.update(Text("\n".join(f"{lock}  {said}" for lock, said in zip(_PADLOCK, words, strict=True))))

    def action_choose(self, step: int) -> None:
        """Choose the mode so many steps below the chosen one; before the mode is read, once it is."""
        if self.view is None:
            self._steps_ahead += step
            return
        shown = [mode for mode, button in zip(Mode, self.query(RadioButton), strict=True) if button.display]
        place = shown.index(self.chosen or self.view.policy.mode) + step
        self.chosen = shown[max(0, min(place, len(shown) - 1))]

    def action_attention(self) -> None:
        """Go to everything that needs attention."""
        self.app.open_tab("overview")

    def action_undo(self) -> None:
        """Choose the current mode again."""
        self.chosen = None

    @working
    async def action_remember_days(self) -> None:
        """Choose how many days addresses are remembered."""
        view = await self.app.read(policy_settings.show_policy)
        if view is None:
            return
        seen = view.policy.remember_days
        choices = [(f"{days}: {period_in_short(days)}", days) for days in range(MAX_DAYS + 1)]
        title = "Remember an address with its key or password"
        chosen = await self.app.push_screen_wait(ChooseDialog(title, choices, seen))
        if chosen is not None and chosen[0] != seen:
            await self.app.act(policy_settings.set_remember_days, chosen[0], seen=seen)

    @working
    async def action_certificates(self) -> None:
        """Change how long certificates are valid, and what they permit."""
        view = await self.app.read(policy_settings.show_policy)
        if view is not None:
            await change_certificates(self.app, view)

    @working
    async def action_deadline(self) -> None:
        """Change the deadline of the mode `required`, or enter it with one, and the days of grace."""
        view = await self.app.read(policy_settings.show_policy)
        if view is not None and await change_deadline(self.app, view):
            self.chosen = None

    @working
    async def action_apply(self) -> None:
        """Change the mode after confirmation."""
        if self.view is None:
            await self.read()
        if self.view is not None and not self._is_previewed(mode := self.chosen or self.view.policy.mode):
            await self._show_preview(mode, self.view)
        preview = self._preview
        if preview is None or preview.before is preview.after:
            self.app.say("Choose another mode first.")
            return
        done: Done | None = None
        if preview.refusal:
            self.app.say(preview.refusal, Tone.REFUSED)
        elif preview.after is Mode.PERMANENT:
            done = await self._make_permanent(preview)
        elif await self.app.push_screen_wait(ConfirmDialog(policy_changes.change_mode(preview))):
            done = await self.app.act(policy_settings.set_mode, preview.after, seen=preview.before)
        if done is None:
            self.chosen = None

    async def _make_permanent(self, preview: ModePreview) -> Done | None:
        """Show the checklist and ask for the account name."""
        checklist = await self.app.read(permanent_mode.show_checklist)
        if checklist is None:
            return None
        body = policy_changes.make_permanent(checklist)

        def form(typed: tuple[str, ...] | None, fault: str) -> FormDialog:
            field = Field("Account name", TEXT_LIMIT, typed[0] if typed else "")
            return FormDialog("Make it permanent?", [field], body=body, yes="Make permanent", fault=fault)

        return await self.app.fill_in(
            form,
            lambda typed: self.app.submit(
                policy_settings.set_mode, Mode.PERMANENT, seen=preview.before, confirmation=typed[0]
            ),
        )
