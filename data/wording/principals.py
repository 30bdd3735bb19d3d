"""Principals, in the words of the app and the commands."""

from collections.abc import Sequence

from data.operations.users.principals import PrincipalPreview, PrincipalRow
from data.wording.certificates import are_withdrawn
from data.wording.words import Question, counted

WHAT = "Principals are the user names on hosts that a certificate is valid for."


def give(preview: PrincipalPreview) -> Question:
    """Describe giving a principal to a user or a practice."""
    principal = preview.principal
    warning = f" {principal} is also a user: hosts cannot tell them apart." if preview.others_name else ""
    return Question(
        f"Give {preview.whose} the principal {principal}?",
        f"Hosts then let {_who(preview)} sign in as {principal}, with any certificate issued from now on."
        f"{warning}",
        "Give",
    )


def remove(preview: PrincipalPreview) -> Question:
    """Describe removing a principal from a user or a practice."""
    return Question(
        f"Remove the principal {preview.principal} from {preview.whose}?",
        f"New certificates of {_who(preview)} no longer include it, unless it is given in another way."
        f"{are_withdrawn(preview.certificates)}",
        "Remove",
    )


def _who(preview: PrincipalPreview) -> str:
    return (
        preview.whose
        if preview.people is None
        else f"everyone in {preview.whose} ({_people(preview.people)})"
    )


def _people(count: int) -> str:
    return counted(count, "user")


def origin(row: PrincipalRow) -> str:
    """Return in words where a principal comes from, and whether certificates include it."""
    where = (
        "user name" if row.is_name else f"practice {row.practice}" if row.practice else "given to the user"
    )
    return where if row.counts else f"{where}; reserved, so not included until the operator gives it"


def principal_lines(rows: Sequence[PrincipalRow]) -> str:
    """Return principals for a description, a line for each with where it comes from."""
    return "\n".join(f"{row.principal} ({origin(row)})" for row in rows)
