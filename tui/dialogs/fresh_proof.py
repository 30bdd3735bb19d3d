"""Asks again for a code or the password, before a sensitive change."""

from collections.abc import Iterator
from typing import Final

from textual.widget import Widget

from data.operations.signin.dialogue import Question
from data.rules.code_answers import LONGEST
from data.rules.domain_types import Method
from data.rules.passwords import MAX_LENGTH
from tui.dialogs.dialog import paragraph
from tui.dialogs.form import Field, FormDialog

_PASSWORD: Final = Field("Password", MAX_LENGTH, hidden=True)


class FreshProofDialog(FormDialog):
    """Asks for a code if there is a `question`, otherwise for the password.

    `note` says where a code was sent, and `temporary` that a temporary code is taken too.
    """

    def __init__(
        self, question: Question | None = None, fault: str = "", note: str = "", *, temporary: bool = False
    ) -> None:
        field = Field(question.prompt.removesuffix(": "), LONGEST) if question else _PASSWORD
        words = f"To make this change, {_what_to_type(question, temporary=temporary)}"
        warning = question.warning if question else ""
        super().__init__(
            "Confirm it's you", [field], body=f"{words} {warning}".rstrip(), yes="Continue", fault=fault
        )
        self._note = note

    def content(self) -> Iterator[Widget]:
        """Yield the question, and where a code was sent."""
        yield from super().content()
        if self._note:
            yield paragraph(self._note, "hint")


def _what_to_type(question: Question | None, *, temporary: bool) -> str:
    if question is None:
        return "enter your password."
    if not question.methods:
        return "enter a recovery code."
    app = " from your authenticator app" if Method.APP in question.methods else ""
    spare = "a recovery or temporary code" if temporary else "a recovery code"
    return f"enter a new code{app}, or {spare}."
