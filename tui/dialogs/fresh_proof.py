"""Asks anew for a code or the password, before a sensitive change."""

from data.operations.results import FreshProof
from tui.dialogs.form import Field, FormDialog

_WORDS = {
    FreshProof.CODE: (
        "Type a fresh code from your authenticator app, or a recovery code.",
        "Verification code",
    ),
    FreshProof.PASSWORD: ("Type your password.", "Password"),
}


class FreshProofDialog(FormDialog):
    """Asks who is at the keyboard."""

    def __init__(self, proof: FreshProof, fault: str = "") -> None:
        body, label = _WORDS[proof]
        super().__init__(
            "Is it still you?",
            [Field(label, hidden=proof is FreshProof.PASSWORD)],
            body=f"This change needs a proof from the last five minutes. {body}",
            yes="Continue",
            fault=fault,
        )
