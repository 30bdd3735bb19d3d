"""A question before an act, as the app and the commands ask it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What will happen, in words, and the word that does it."""

    title: str
    body: str
    yes: str
