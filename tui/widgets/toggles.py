"""Boxes and buttons whose state is read from their mark, without colour."""

from textual.widgets import Checkbox, RadioButton


class TickBox(Checkbox):
    """A box that holds an x when it is ticked and nothing when it is not."""

    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "", "[ ]", ""

    def render(self) -> object:  # type: ignore[override]
        """Draw the mark that fits the state."""
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        return super().render()


class Choice(RadioButton):
    """A button of a set that holds a dot when it is the chosen one."""

    BUTTON_LEFT, BUTTON_INNER, BUTTON_RIGHT = "", "( )", ""

    def render(self) -> object:  # type: ignore[override]
        """Draw the mark that fits the state."""
        self.BUTTON_INNER = "(\N{BULLET})" if self.value else "( )"
        return super().render()
