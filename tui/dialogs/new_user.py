"""Asks for the details of a new user."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rich.text import Text
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Checkbox, Label, RadioButton, RadioSet, Select

from data.rules.domain_types import Role
from data.rules.passwords import ONE_TIME_HOURS
from data.rules.public_keys import KEY_LIMIT
from data.rules.safe_text import safe
from data.rules.user_fields import EMAIL_LIMIT, PHONE_LIMIT, TEXT_LIMIT, USERNAME_LIMIT
from tui.dialogs.dialog import Dialog, paragraph
from tui.dialogs.roles import role_boxes, ticked
from tui.widgets.fields import Choice, TextField


@dataclass(frozen=True, slots=True)
class NewUserForm:
    """What was typed, unchecked."""

    name: str = ""
    email: str = ""
    full_name: str = ""
    required: bool = False
    roles: frozenset[Role] = frozenset()
    key: str = ""
    phone: str = ""
    practice: str | None = None


class NewUserDialog(Dialog[NewUserForm]):
    """The form for a new user. `form` holds what was typed before, and `fault` what was wrong with it.

    If there are several `practices`, one must be chosen. `grantable` are the roles that can be given.
    """

    AUTO_FOCUS = "Input"

    def __init__(
        self, form: NewUserForm, practices: Sequence[str], grantable: AbstractSet[Role], fault: str = ""
    ) -> None:
        super().__init__("New user", "Create")
        self._form = form
        self._practices = practices
        self._grantable = grantable
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield the fields."""
        form = self._form
        for label, value, hint, limit, name in (
            ("User name", form.name, "", USERNAME_LIMIT, "name"),
            ("E-mail", form.email, "", EMAIL_LIMIT, "email"),
            ("Full name", form.full_name, "", TEXT_LIMIT, "full-name"),
            ("Phone", form.phone, "optional: +49 30 1234567", PHONE_LIMIT, "phone"),
        ):
            yield Horizontal(Label(label), TextField(value, hint, limit=limit, id=name), classes="row")
        if len(self._practices) > 1:
            options = [(Text(safe(name)), name) for name in self._practices]
            chosen = form.practice if form.practice in self._practices else self._practices[0]
            select = Select(options, value=chosen, allow_blank=False, compact=True)
            yield Horizontal(Label("Practice"), select, classes="row")
        yield Horizontal(
            Label("2FA"),
            RadioSet(
                Choice("Not required", value=not form.required),
                Choice("Required", value=form.required, id="required"),
                compact=True,
            ),
            classes="row",
        )
        boxes = Vertical(*role_boxes(form.roles, self._grantable))
        yield Horizontal(Label("Roles"), boxes, classes="row roles")
        yield Horizontal(
            Label("SSH key"),
            TextField(form.key, "optional: the line of the .pub file", limit=KEY_LIMIT, lines=True, id="key"),
            classes="row",
        )
        yield paragraph(f"A one-time password is shown once. It expires in {ONE_TIME_HOURS} hours.", "hint")
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")

    def answer(self) -> NewUserForm:
        """Return what was typed."""
        return NewUserForm(
            name=self.query_one("#name", TextField).text,
            email=self.query_one("#email", TextField).text,
            full_name=self.query_one("#full-name", TextField).text,
            required=self.query_one("#required", RadioButton).value,
            roles=ticked(iter(self.query(Checkbox))),
            key=self.query_one("#key", TextField).text.strip(),
            phone=self.query_one("#phone", TextField).text,
            practice=next((str(select.value) for select in self.query(Select)), None),
        )
