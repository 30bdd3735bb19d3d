"""The checklist before the mode `permanent`, which cannot be undone."""

from dataclasses import dataclass
from datetime import datetime

NAMED = 5
"""How many people an item names; the others are counted."""
UNLOCKERS = 2
"""System administrators who must be able to sign in: if there were only one, no one could unlock that one."""


@dataclass(frozen=True, slots=True)
class People:
    """A number of people, the first of them by name."""

    count: int
    names: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The names, and how many others there are."""
        others = self.count - len(self.names)
        named = ", ".join(self.names)
        return f"{named} and {others} more" if others else named


@dataclass(frozen=True, slots=True)
class Item:
    """One condition, whether it is met, and who does not meet it."""

    condition: str
    met: bool
    missing: People
    lacking: str
    """What is missing, in words; empty if the condition is met."""

    @property
    def sentence(self) -> str:
        """The condition, and what is missing if it is not met."""
        return self.condition if self.met else f"{self.condition}: {self.lacking}"


def checklist(
    *, admins_without: People, users_without: People, unlockers: People, deadline: datetime | None = None
) -> tuple[Item, ...]:
    """Judge the conditions: three, and a fourth while a `deadline` is ahead.

    `admins_without` are the active administrators who are not enrolled, `users_without` the active
    users who neither are enrolled nor could be asked by a method that is on, and `unlockers` the
    system administrators who can sign in with a second factor now.
    """
    return (
        _nobody("Every active administrator has set up 2FA", admins_without),
        _nobody("Every active user has 2FA or can be sent codes", users_without),
        _enough_unlockers(unlockers),
        *([_passed(deadline)] if deadline else []),
    )


def passes(items: tuple[Item, ...]) -> bool:
    """Whether `permanent` may be entered."""
    return all(item.met for item in items)


def _passed(deadline: datetime) -> Item:
    return Item("The deadline has passed", False, People(0, ()), f"it is {deadline:%Y-%m-%d}")


def _nobody(condition: str, without: People) -> Item:
    return Item(condition, not without.count, without, f"missing {without.listed}" if without.count else "")


def _enough_unlockers(unlockers: People) -> Item:
    condition = f"At least {UNLOCKERS} system administrators can unlock each other"
    if unlockers.count >= UNLOCKERS:
        return Item(condition, met=True, missing=People(0, ()), lacking="")
    there = (
        f"only {unlockers.listed} has set up 2FA and is not locked" if unlockers.count else "no one can yet"
    )
    return Item(condition, met=False, missing=People(0, ()), lacking=there)
