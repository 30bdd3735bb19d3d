"""Asks anew for a code or the password, before a sensitive change."""

from collections.abc import Iterator

from textual.widget import Widget

from data.operations.results import FreshProof, FreshProofNeeded
from data.rules.code_answers import LONGEST
from data.rules.domain_types import Method
from data.rules.passwords import MAX_LENGTH
from data.rules.policy import warning_of_few
from data.rules.sent_codes import prompt
from tui.dialogs.dialog import paragraph
from tui.dialogs.form import Field, FormDialog


class FreshProofDialog(FormDialog):
    """Asks who is at the keyboard; `note` says where a code was sent."""

    def __init__(self, needed: FreshProofNeeded, fault: str = "", note: str = "") -> None:
        hidden = needed.proof is FreshProof.PASSWORD
        label = "Password" if hidden else prompt(needed.methods).removesuffix(": ")
        warning = "" if fault else warning_of_few(needed.attempts_left)
        super().__init__(
            "Is it still you?",
            [Field(label, MAX_LENGTH if hidden else LONGEST, hidden=hidden)],
            body=f"This change needs a proof from the last five minutes. {_words(needed)} {warning}".rstrip(),
            yes="Continue",
            fault=fault,
        )
        self._note = note

    def content(self) -> Iterator[Widget]:
        """Yield the question, and where a code was sent."""
        yield from super().content()
        if self._note:
            yield paragraph(self._note, "hint")


def _words(needed: FreshProofNeeded) -> str:
    if needed.proof is FreshProof.PASSWORD:
        return "Type your password."
    if not needed.methods:
        return "Type a recovery code."
    app = " from your authenticator app" if Method.APP in needed.methods else ""
    return f"Type a fresh code{app}, or a recovery code."
