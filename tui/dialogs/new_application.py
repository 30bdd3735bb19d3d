"""Asks for what a new application is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Checkbox, Label, Select

from data.rules.applications import MOST_NETWORKS, TYPED_LIMIT, Asks, Protocol
from data.rules.safe_text import safe
from tui.dialogs.dialog import Dialog, paragraph
from tui.widgets.fields import TextField, TickBox

_PRACTICE = "practice"


@dataclass(frozen=True, slots=True)
class NewApplicationForm:
    """What was typed and ticked, unchecked."""

    name: str = ""
    protocol: Protocol = Protocol.HTTP
    networks: str = ""
    asks: Asks = Asks.PASSWORD_THEN_CODE
    practices: frozenset[str] = frozenset()
    accept_without_2fa: bool = False
    may_send: bool = False
    lenient: bool = False


class NewApplicationDialog(Dialog[NewApplicationForm]):
    """The form for a new application.

    `form` holds what was typed before, and `fault` what was wrong with it.
    """

    AUTO_FOCUS = "Input"

    def __init__(self, form: NewApplicationForm, practices: Sequence[str], fault: str = "") -> None:
        super().__init__("New application", "Add")
        self._form = form
        self._practices = practices
        self._fault = fault

    def content(self) -> Iterator[Widget]:
        """Yield the fields."""
        form = self._form
        name = TextField(form.name, limit=TYPED_LIMIT, id="name")
        yield Horizontal(Label("Name"), name, classes="row")
        limit = MOST_NETWORKS * TYPED_LIMIT
        networks = TextField(form.networks, "loopback, or 10.0.0.5 10.1.0.0/24", limit=limit, id="networks")
        yield Horizontal(Label("From"), networks, classes="row")
        choices = [(asks.words.capitalize(), asks) for asks in Asks]
        asks = Select(choices, value=form.asks, allow_blank=False, compact=True, id="asks")
        yield Horizontal(Label("Asks"), asks, classes="row")
        protocols = [(each.label, each) for each in Protocol]
        via = Select(protocols, value=form.protocol, allow_blank=False, compact=True, id="protocol")
        yield Horizontal(Label("Via"), via, classes="row")
        if len(self._practices) > 1:
            boxes = [
                TickBox(safe(each), each in form.practices, name=each, classes=_PRACTICE, compact=True)
                for each in self._practices
            ]
            yield Horizontal(Label("Practices"), Vertical(*boxes, id="practices"), classes="row roles")
            yield paragraph("None ticked: it serves all practices.", "hint")
        yield TickBox(
            "Accept people without 2FA by their password", form.accept_without_2fa, id="without", compact=True
        )
        yield TickBox("Without the password: may have codes sent", form.may_send, id="send", compact=True)
        yield TickBox("RADIUS: needs no Message-Authenticator", form.lenient, id="lenient", compact=True)
        yield paragraph("Its token or secret is shown once.", "hint")
        if self._fault:
            yield paragraph(f"✗ {self._fault}", "fault")

    def answer(self) -> NewApplicationForm:
        """Return what was typed and ticked."""
        ticked = (box for box in self.query(Checkbox) if box.value and box.has_class(_PRACTICE))
        return NewApplicationForm(
            name=self.query_one("#name", TextField).text,
            networks=self.query_one("#networks", TextField).text,
            protocol=Protocol(str(self.query_one("#protocol", Select).value)),
            asks=Asks(str(self.query_one("#asks", Select).value)),
            practices=frozenset(box.name for box in ticked if box.name),
            accept_without_2fa=self.query_one("#without", Checkbox).value,
            may_send=self.query_one("#send", Checkbox).value,
            lenient=self.query_one("#lenient", Checkbox).value,
        )
