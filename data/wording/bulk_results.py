"""What became of an act on many users, in words."""

import re
from collections.abc import Sequence

from data.operations.users.bulk_actions import Bulk, BulkResult
from data.wording.words import counted, listed


def summary(result: BulkResult, act: Bulk) -> str:
    """Return how many users it was done to, how many were refused, and how many are left."""
    parts = [f"{counted(len(result.done), 'user')} {act.done}"]
    if result.refused:
        parts.append(f"{len(result.refused)} refused")
    if result.left:
        parts.append(f"{len(result.left)} left")
    return ", ".join(parts)


def reasons(result: BulkResult) -> str:
    """Return why users were refused or left: a line for all with the same reason, the most frequent first."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, why in result.refused:
        groups.setdefault(_without(name, why), []).append((name, why))
    lines = [_of_group(group) for group in sorted(groups.values(), key=len, reverse=True)]
    if result.left:
        why = result.stopped or "You stopped it."
        lines.append(f"Not reached: {listed(result.left)}. {why}")
    return "\n".join(lines)


def _of_group(refused: Sequence[tuple[str, str]]) -> str:
    (name, why), *others = refused
    more = f" The same for {listed([other for other, _ in others])}." if others else ""
    return f"{name}: {why}{more}"


def _without(name: str, why: str) -> str:
    """Return a reason without the name of the user whom it is about."""
    return re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "", why)
