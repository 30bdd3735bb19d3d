"""Asks which roles a user gets."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from textual.widget import Widget
from textual.widgets import Checkbox

from data.rules.domain_types import Role
from tui.dialogs.dialog import Dialog, paragraph
from tui.widgets.fields import TickBox


def role_boxes(held: AbstractSet[Role]) -> Iterator[Checkbox]:
    """Yield a box to tick for each role."""
    for role in Role:
        yield TickBox(role.label.capitalize(), role in held, name=role.value, classes="role", compact=True)


def ticked(boxes: Iterator[Checkbox]) -> frozenset[Role]:
    """Return the roles whose boxes are ticked."""
    return frozenset(Role(box.name) for box in boxes if box.value and box.name)


class RolesDialog(Dialog[frozenset[Role]]):
    """Shows the current roles and asks for the new ones."""

    AUTO_FOCUS = "Checkbox"

    def __init__(self, name: str, held: AbstractSet[Role]) -> None:
        super().__init__(f"Roles of {name}", "Save")
        self._held = held

    def content(self) -> Iterator[Widget]:
        """Yield the boxes."""
        yield paragraph("2FA is required for everyone who holds a role.")
        yield from role_boxes(self._held)

    def answer(self) -> frozenset[Role]:
        """Return the ticked roles."""
        return ticked(iter(self.query(Checkbox)))
