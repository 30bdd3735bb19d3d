"""Targets in words: what one is, and the question before it is removed."""

from data.operations.targets.registry import OwnTarget, TargetRow, whom_in_words
from data.rules.targets import place_in_words
from data.wording.words import Question, moment

NONE_OF_YOURS = "You have no targets. Security administrators add them."
NOT_YET = "cannot be reached yet. Ask a security administrator why."


def state(row: TargetRow) -> str:
    """Return the state of a target in a word, or nothing while it may be reached."""
    return "unreachable" if row.why_unreachable else ""


def way_to(row: OwnTarget) -> str:
    """Return how one reaches a target of one's own: the command line, or why not."""
    return row.command if row.reachable else NOT_YET


def facts(row: TargetRow) -> list[tuple[str, str]]:
    """Return what a target is, as labels and values."""
    return [
        ("Name", row.name),
        ("Leads to", place_in_words(row.host, row.port)),
        ("For", whom_in_words(row)),
        ("Added", f"{moment(row.created_at)}{' by the operator' if row.by_operator else ''}"),
        *([("Unreachable", row.why_unreachable)] if row.why_unreachable else []),
    ]


def remove(row: TargetRow) -> Question:
    """Describe removing a target."""
    return Question(
        f"Remove {row.name}?",
        f"No one can reach {place_in_words(row.host, row.port)} as {row.name} any more, and open connections "
        "to it are closed within five seconds.",
        "Remove",
    )
