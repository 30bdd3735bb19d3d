"""The account's two-factor policy."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Label, RadioButton, RadioSet, Static

from data.operations import account
from data.operations.account import ModePreview, PolicyView
from data.rules.facts import Mode, Status
from data.rules.text import safe
from tui.dialogs import consequences
from tui.dialogs.confirm import ConfirmDialog
from tui.screens.acting import in_background, working
from tui.screens.base import MainScreen
from tui.widgets.toggles import Choice


class SecurityScreen(MainScreen):
    """The mode, whom a change would affect, and how many people stand where."""

    PLACE = "security"
    AUTO_FOCUS = "RadioSet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "choose('off')", "Off"),
        Binding("p", "choose('optional')", "Optional"),
        Binding("r", "choose('required')", "Required"),
        Binding("a", "apply", "Apply"),
        Binding("escape", "undo", "Undo", show=False, tooltip="Back to the present mode"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._view: PolicyView | None = None
        self._preview: ModePreview | None = None

    def body(self) -> Iterator[Widget]:
        """Yield the parts; what they show is read after the first frame."""
        scroll = VerticalScroll(id="detail", can_focus=False)
        for part in (
            Label("Two-factor authentication", id="mode", classes="title"),
            Static("", id="people", markup=False),
            RadioSet(*(Choice(mode.value.capitalize(), name=mode.value) for mode in Mode), compact=True),
            Static("", id="preview", markup=False),
            Button("Apply", variant="primary", compact=True, disabled=True),
        ):
            scroll.compose_add_child(part)
        yield scroll

    async def read(self) -> None:
        """Read the policy and count the people."""
        view = await self.app.inquire(account.show_policy)
        if view is None:
            return
        self._view = view
        self.query_one("#mode", Label).update(f"Two-factor authentication is {view.policy.mode.value}")
        for button in self.query(RadioButton):
            is_permanent = button.name == Mode.PERMANENT.value
            button.display = not is_permanent or view.policy.mode is Mode.PERMANENT
        self.action_choose(view.policy.mode.value)
        counts = [f"{status.value} {view.people[status]}" for status in Status if view.people.get(status)]
        self.query_one("#people", Static).update(f"People: {' · '.join(counts)}")
        await self._show_preview(view.policy.mode)

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        """Show whom the chosen mode would affect."""
        show = partial(self._show_preview, Mode(event.pressed.name or ""))
        in_background(self, show, "reading", latest_only=True)

    def on_button_pressed(self) -> None:
        """Apply the chosen mode."""
        self.action_apply()

    async def _show_preview(self, mode: Mode) -> None:
        preview = await self.app.inquire(account.preview_mode, mode)
        if preview is None:
            return
        self._preview = preview
        changes = preview.before is not preview.after
        lines = consequences.affected(preview)
        if changes and preview.refusal:
            lines.append(f"✗ {preview.refusal}")
        self.query_one("#preview", Static).update(Text("\n".join(safe(line, 400) for line in lines)))
        self.query_one(Button).disabled = not changes or preview.refusal is not None

    def action_choose(self, mode: str) -> None:
        """Choose a mode by its key."""
        for button in self.query(RadioButton):
            if button.name == mode:
                button.value = True

    def action_undo(self) -> None:
        """Choose the present mode again."""
        if self._view is not None:
            self.action_choose(self._view.policy.mode.value)

    @working
    async def action_apply(self) -> None:
        """Change the mode, once it is confirmed."""
        preview = self._preview
        if preview is None or preview.before is preview.after:
            self.app.say("Choose another mode first.")
            return
        if await self.app.push_screen_wait(ConfirmDialog(consequences.change_mode(preview))):
            await self.app.perform(account.set_mode, preview.after, seen=preview.before)
        await self.read()
