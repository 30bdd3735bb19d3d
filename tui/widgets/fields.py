"""Fields to type into."""

from textual import events
from textual.widgets import Input


class DigitsInput(Input):
    """Takes digits and spaces; every other key stays free for the screen's actions."""

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, restrict=r"[0-9 ]*", max_length=11)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Say which keys are typed into the field."""
        del key
        return character is not None and (character.isdigit() or character == " ")

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.check_consume_key(event.key, event.character):
            # Neither the field nor Textual's own handler for it may swallow the key.
            event.prevent_default()
            return
        await super()._on_key(event)
