"""The targets that people reach through the server with `ssh -J`."""

from typing import ClassVar

from textual.binding import BindingType

from data.operations.audit.changes import Change
from data.operations.results import Denied, Done
from data.operations.targets import registry
from data.operations.targets.registry import TargetRow, TargetsView, whom_in_words
from data.operations.users import practices
from data.rules.targets import NewTarget, place_in_words
from data.wording import targets as wording
from data.wording.words import counted
from tui.dialogs.message_box import ConfirmDialog, TellDialog
from tui.dialogs.new_target import NewTargetDialog, NewTargetForm
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.widgets.paged_table import Column


def _state(row: TargetRow) -> str:
    state = wording.state(row)
    return state and f"! {state}"


_COLUMNS: list[Column[TargetRow]] = [
    Column("Target", 20, lambda row: row.name, least=12),
    Column("State", 13, _state, least=13, tint=lambda _row: "$warning"),
    Column("Leads to", 32, lambda row: place_in_words(row.host, row.port), rank=1, least=16),
    Column("For", 40, whom_in_words, rank=2, least=12),
    Column("Added by", 12, lambda row: "the operator" if row.by_operator else "a member", rank=3),
]


class TargetsScreen(TableScreen[TargetRow, str]):
    """Each target with where it leads and whom it is for."""

    TAB = "targets"
    TOPIC = "forwarding"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.NEW.binding(tooltip="Add a target"),
        Act.REMOVE.binding(tooltip="Remove the target"),
    ]

    view: TargetsView | None = None

    def __init__(self) -> None:
        super().__init__(_COLUMNS, lambda row: row.name)

    def concerns(self, change: Change) -> bool:
        """Return whether a change is one of targets, or of the practices and users that they are for."""
        return super().concerns(change) and change.event.startswith(("target.", "practice.", "user.deleted"))

    async def read(self) -> None:
        """Read the targets, which come by name."""
        self.view = await self.app.read(registry.list_targets) or self.view
        if self.view is not None:
            words = f"{counted(len(self.view.rows), 'target')} · hosts that people reach with ssh -J"
            self.show(self.view.rows, words, who_can=self.view.who_can)

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to manage targets to those who may, and to remove one where there is one."""
        if action not in ("new", "remove"):
            return super().offers(action, parameters)
        if self.view is None:
            return None
        return self.view.may_manage and (action == "new" or self.table.selected is not None)

    @working
    async def action_open(self) -> None:
        """Show the target under the cursor in full."""
        row = self.table.selected
        if row is not None:
            lines = "\n".join(f"{label}: {value}" for label, value in wording.facts(row))
            await self.app.push_screen_wait(TellDialog(f"Target {row.name}", lines))

    @working
    async def action_new(self) -> None:
        """Add a target."""
        names = await self.app.read(practices.practice_names) or []
        await self.app.fill_in(
            lambda typed, fault: NewTargetDialog(typed or NewTargetForm(), names, fault), self._add
        )

    async def _add(self, form: NewTargetForm) -> Done | Denied:
        users = tuple(form.users.replace(",", " ").split())
        port = int(form.port) if form.port.isascii() and form.port.isdigit() else 0
        new = NewTarget(form.name, form.host, port, tuple(sorted(form.practices)), form.roles, users)
        return await self.app.submit(registry.add_target, new)

    @working
    async def action_remove(self) -> None:
        """Remove the target under the cursor."""
        row = self.table.selected
        if row is None or not await self.app.push_screen_wait(ConfirmDialog(wording.remove(row))):
            return
        await self.app.act(registry.remove_target, row.name)
