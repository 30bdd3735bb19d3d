"""The applications that ask for codes."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.binding import BindingType

from data.operations.applications import registry
from data.operations.applications.registry import ApplicationRow, ApplicationsView, NewSecret, State
from data.operations.audit.changes import Change
from data.operations.results import Denied
from data.operations.users import practices
from data.rules.applications import NewApplication
from data.wording import applications as wording
from data.wording.words import Question, counted
from tui.dialogs.message_box import ConfirmDialog, ShownOnceDialog, TellDialog
from tui.dialogs.new_application import NewApplicationDialog, NewApplicationForm
from tui.keys import Act
from tui.screens.base_app import Operation
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.widgets.paged_table import Column
from tui.widgets.status_line import Tone

R = TypeVar("R")


def _state(row: ApplicationRow) -> str:
    return f"{'! ' if row.state is State.SUSPENDED else ''}{row.state.value}"


_COLUMNS: list[Column[ApplicationRow]] = [
    Column("Application", 16, lambda row: row.name, least=11),
    Column("State", 11, _state, least=11),
    Column("Asks", 18, lambda row: row.asks.value, rank=1),
    Column("From", 24, lambda row: ", ".join(row.networks), rank=2, least=12),
    Column("Practices", 20, wording.practices_in_words, rank=3, least=9),
    Column("Via", 15, lambda row: f"{row.protocol.value}{', lenient' if row.lenient else ''}", rank=4),
]


class ApplicationsScreen(TableScreen[ApplicationRow, str]):
    """Each application with what it asks and whether it is answered."""

    TAB = "applications"
    TOPIC = "applications"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.NEW.binding(tooltip="Add an application"),
        Act.DISABLE.binding(tooltip="Stop answering the application"),
        Act.ACTIVATE.binding("enable", "Enable", "Answer the application again"),
        Act.PASSWORD.binding("rotate", "New token", "Make a new token or secret"),
        Act.REMOVE.binding(tooltip="Remove the application"),
    ]

    view: ApplicationsView | None = None

    def __init__(self) -> None:
        super().__init__(_COLUMNS, lambda row: row.name)

    def concerns(self, change: Change) -> bool:
        """Return whether a change is one of applications or of the practices that they serve."""
        return super().concerns(change) and change.event.startswith(("application.", "practice."))

    async def read(self) -> None:
        """Read the applications, which come by name."""
        self.view = await self.app.read(registry.list_applications) or self.view
        if self.view is not None:
            words = f"{counted(len(self.view.rows), 'application')} · all share codes and the seven attempts"
            self.show(self.view.rows, words, who_can=self.view.who_can)

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to manage applications to those who may, as the state of the one under the cursor allows."""
        if action not in ("new", "disable", "enable", "rotate", "remove"):
            return super().offers(action, parameters)
        if self.view is None:
            return None
        row = self.table.selected
        if action == "new" or row is None:
            return self.view.may_manage and action == "new"
        fits = {"disable": row.state is not State.DISABLED, "enable": row.state is not State.ENABLED}
        return self.view.may_manage and fits.get(action, True)

    @working
    async def action_open(self) -> None:
        """Show the application under the cursor in full."""
        row = self.table.selected
        if row is not None:
            lines = "\n".join(f"{label}: {value}" for label, value in wording.facts(row))
            await self.app.push_screen_wait(TellDialog(f"Application {row.name}", lines))

    @working
    async def action_new(self) -> None:
        """Add an application, and show its token or secret once."""
        names = await self.app.read(practices.practice_names) or []
        made = await self.app.fill_in(
            lambda typed, fault: NewApplicationDialog(typed or NewApplicationForm(), names, fault), self._add
        )
        if made is not None:
            await self._show_once(made, wording.added(made))

    @working
    async def action_rotate(self) -> None:
        """Make a new token for the application under the cursor, and show it once."""
        made = await self._act_on_row(wording.rotate, registry.rotate_secret)
        if isinstance(made, NewSecret):
            await self._show_once(made, wording.rotated(made))

    @working
    async def action_disable(self) -> None:
        """Stop answering the application under the cursor."""
        await self._act_on_row(wording.disable, registry.disable_application)

    @working
    async def action_enable(self) -> None:
        """Answer the application under the cursor again."""
        await self._act_on_row(wording.enable, registry.enable_application)

    @working
    async def action_remove(self) -> None:
        """Remove the application under the cursor."""
        await self._act_on_row(wording.remove, registry.remove_application)

    async def _act_on_row(
        self, ask: Callable[[ApplicationRow], Question], operation: Operation[[str], R]
    ) -> R | None:
        """Change the application under the cursor after a question."""
        row = self.table.selected
        if row is None or not await self.app.push_screen_wait(ConfirmDialog(ask(row))):
            return None
        return await self.app.act(operation, row.name)

    async def _add(self, form: NewApplicationForm) -> NewSecret | Denied:
        new = NewApplication(
            form.name,
            form.protocol,
            form.asks,
            tuple(form.networks.replace(",", " ").split()),
            tuple(sorted(form.practices)),
            accept_without_2fa=form.accept_without_2fa,
            may_send=form.may_send,
            lenient=form.lenient,
        )
        return await self.app.submit(registry.add_application, new)

    async def _show_once(self, made: NewSecret, done: str) -> None:
        title = f"{made.protocol.secret.capitalize()} of {made.application}"
        await self.app.push_screen_wait(ShownOnceDialog(title, wording.IN_ITS_SETTINGS, made.secret))
        self.app.say(done, Tone.DONE)
