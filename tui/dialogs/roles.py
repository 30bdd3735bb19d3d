"""Asks which roles a user gets."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from textual.widget import Widget
from textual.widgets import Checkbox

from data.rules.domain_types import Role
from data.rules.permissions import action_to_grant
from tui.dialogs.dialog import Dialog, paragraph
from tui.widgets.fields import TickBox


def role_boxes(held: AbstractSet[Role], grantable: AbstractSet[Role]) -> Iterator[Widget]:
    """Yield a box to tick for each role that can be granted, and who can grant the others."""
    for role in (role for role in Role if role in grantable):
        yield TickBox(role.label.capitalize(), role in held, name=role.value, classes="role", compact=True)
    others = dict.fromkeys(action_to_grant(role).who_can for role in Role if role not in grantable)
    for sentence in others:
        yield paragraph(sentence, "hint")


def ticked(boxes: Iterator[Checkbox]) -> frozenset[Role]:
    """Return the roles whose boxes are ticked."""
    return frozenset(Role(box.name) for box in boxes if box.value and box.name)


class RolesDialog(Dialog[frozenset[Role]]):
    """Shows the current roles and asks for the new ones; those not `grantable` stay as they are."""

    AUTO_FOCUS = "Checkbox"

    def __init__(self, name: str, held: AbstractSet[Role], grantable: AbstractSet[Role]) -> None:
        super().__init__(f"Roles of {name}", "Save")
        self._held = held
        self._grantable = grantable

    def content(self) -> Iterator[Widget]:
        """Yield the boxes."""
        yield paragraph("2FA is required for everyone who holds a role.")
        if kept := self._held - self._grantable:
            yield paragraph(f"Stays: {', '.join(role.label for role in sorted(kept))}.")
        yield from role_boxes(self._held, self._grantable)

    def answer(self) -> frozenset[Role]:
        """Return the ticked roles, and those that stay."""
        return ticked(iter(self.query(Checkbox))) | (self._held - self._grantable)
