"""Seconds that run down in a sentence."""

from datetime import datetime, timedelta
from math import ceil

from rich.text import Text
from textual.widgets import Static

from data.store import Clock


class Countdown(Static):
    """Says how long it is until the phone shows a code that a sign-in takes."""

    def __init__(self, clock: Clock, seconds: int) -> None:
        super().__init__(markup=False)
        self._clock = clock
        self._until: datetime = clock() + timedelta(seconds=seconds)

    def on_mount(self) -> None:
        """Begin."""
        self.tick()
        self.set_interval(1, self.tick)

    def tick(self) -> None:
        """Say what is left."""
        left = ceil((self._until - self._clock()).total_seconds())
        words = (
            f"Your next sign-in takes the phone's next code, in {left} s."
            if left > 0
            else "Your next sign-in takes the code that the phone shows now."
        )
        self.update(Text(words))
