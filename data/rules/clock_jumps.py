"""A clock that was wrong: which time steps it has spent, and when it counts as having jumped."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from data.rules.totp import RESYNC_STEPS, STEP_SECONDS, WINDOW, step_at

NOTABLE = timedelta(seconds=10)
"""The difference between two clocks that is worth a warning: a third of a time step."""

_SOON_SECONDS = 2 * RESYNC_STEPS * STEP_SECONDS
"""The longest wait for the next code with a correct server clock, even if the phone's clock is far off."""


def last_honest_step(now: datetime, drift: int) -> int:
    """Return the last time step that a clock which was never ahead of `now` can have accepted.

    `drift` is by how many steps the phone's clock is assumed to be ahead.
    """
    return step_at(now) + drift + WINDOW


def spent_ahead(
    accepted_at: Iterable[datetime], last_step: int, *, now: datetime, drift: int
) -> frozenset[int]:
    """Return the steps after `now` that may have been accepted while the clock here was ahead.

    `accepted_at` are the moments, by the clock that was ahead, at which something of the user was
    recorded: each acceptance is among them, and took a step in the window around its moment. Anyone who
    saw one of those codes must not be able to use it when its time really comes (RFC 6238 section 5.2).
    """
    reach = WINDOW if drift == 0 else RESYNC_STEPS + WINDOW
    around = (range(step_at(at) - reach, step_at(at) + reach + 1) for at in accepted_at)
    steps = {last_step}.union(*around)
    return frozenset(step for step in steps if step > last_honest_step(now, drift))


def write_steps(steps: Iterable[int]) -> str:
    """Encode time steps for storage."""
    return " ".join(str(step) for step in sorted(steps))


def read_steps(stored: str) -> frozenset[int]:
    """Decode the steps from `write_steps`."""
    return frozenset(int(step) for step in stored.split())


def stuck_until(last_step: int, drift: int) -> datetime:
    """Return when a code is good again for a user whose last step is this one."""
    return datetime.fromtimestamp((last_step + 1 - drift) * STEP_SECONDS, tz=UTC)


def used_code_in_words(next_in_seconds: int | None) -> str:
    """Say that a code was already used, and when the next one comes.

    If the wait is longer than until the phone's next codes, the clock here was ahead.
    """
    said = "Code already used"
    if next_in_seconds is None:
        return f"{said}."
    if next_in_seconds <= _SOON_SECONDS:
        return f"{said}. Wait {next_in_seconds} s for the next one."
    minutes = next_in_seconds // 60
    wait = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour.
    return (
        f"{said}. No code works for {wait}, because the server's clock was ahead. Use a recovery code, or "
        "ask the operator to fix it."
    )


def jump(wall: timedelta, passed: timedelta) -> timedelta | None:
    """Return how far the clock was moved while it should have advanced by `passed`; None if only a little."""
    moved = wall - passed
    return moved if abs(moved) >= NOTABLE else None


def in_words(moved: timedelta) -> str:
    """Describe a clock's jump."""
    seconds = abs(round(moved.total_seconds()))
    return f"{seconds} s {'forward' if moved > timedelta(0) else 'back'}"
