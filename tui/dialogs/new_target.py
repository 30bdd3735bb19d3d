"""Asks for what a new target is, and whom it is for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Checkbox, Label

from data.rules.domain_types import Role
from data.rules.safe_text import safe
from data.rules.targets import HOST_LIMIT, MOST_GRANTS, NAME_LIMIT, SSH_PORT
from data.rules.user_fields import USERNAME_LIMIT
from tui.dialogs.dialog import Dialog, paragraph
from tui.dialogs.roles import role_boxes, ticked
from tui.widgets.fields import TextField, TickBox

_PRACTICE = "practice"
_PORT_LIMIT = 5


@dataclass(frozen=True, slots=True)
class NewTargetForm:
    """What was typed and ticked, unchecked."""

    name: str = ""
    host: str = ""
    port: str = str(SSH_PORT)
    users: str = ""
    roles: frozenset[Role] = frozenset()
    practices: frozenset[str] = frozenset()


class NewTargetDialog(Dialog[NewTargetForm]):
    """The form for a new target. `form` holds what was typed before, and `fault` what was wrong with it."""

    AUTO_FOCUS = "Input"

    def __init__(self, form: NewTargetForm, practices: Sequence[str], fault: str = "") -> None:
        super().__init__("New target", "Add")
        self._form = form
        self._practices = practices
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield the fields."""
        form = self._form
        for label, value, hint, limit, name in (
            ("Name", form.name, "db1", NAME_LIMIT, "name"),
            ("Host", form.host, "db1.clinic.example, or 10.1.0.5", HOST_LIMIT, "host"),
            ("Port", form.port, "", _PORT_LIMIT, "port"),
            ("Users", form.users, "names, separated by spaces", MOST_GRANTS * USERNAME_LIMIT, "users"),
        ):
            yield Horizontal(Label(label), TextField(value, hint, limit=limit, id=name), classes="row")
        roles = Vertical(*role_boxes(form.roles, frozenset(Role)))
        yield Horizontal(Label("Roles"), roles, classes="row roles")
        if len(self._practices) > 1:
            boxes = [
                TickBox(safe(each), each in form.practices, name=each, classes=_PRACTICE, compact=True)
                for each in self._practices
            ]
            yield Horizontal(Label("Practices"), Vertical(*boxes, id="practices"), classes="row roles")
        yield paragraph("Without any of these, it is for everyone in the account.", "hint")
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")

    def answer(self) -> NewTargetForm:
        """Return what was typed and ticked."""
        typed = {
            name: self.query_one(f"#{name}", TextField).text for name in ("name", "host", "port", "users")
        }
        boxes = self.query(Checkbox)
        return NewTargetForm(
            **typed,
            roles=ticked(box for box in boxes if not box.has_class(_PRACTICE)),
            practices=frozenset(
                box.name for box in boxes if box.name and box.value and box.has_class(_PRACTICE)
            ),
        )
