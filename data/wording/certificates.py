"""Certificates, in the words of the app and the commands."""

from data.wording.words import Question, counted

STILL_WORKS = "A host accepts a withdrawn certificate until it has fetched the list of them again."
"""How long a withdrawn certificate can still work; the manual says how to have hosts fetch the list."""


def are_withdrawn(count: int) -> str:
    """Say before an act, after a space, how many certificates it withdraws; empty if there are none."""
    if not count:
        return ""
    return f" {counted(count, 'certificate')} {'is' if count == 1 else 'are'} withdrawn. {STILL_WORKS}"


def withdraw_certificate(serial: int) -> Question:
    """Ask whether a certificate should no longer be accepted."""
    return Question(
        f"Withdraw certificate {serial}?", f"Hosts refuse it from then on. {STILL_WORKS}", "Withdraw"
    )
