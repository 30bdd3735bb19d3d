"""Certificates, in the words of the app and the commands."""

from collections.abc import Iterable

from data.operations.certificates.issuing import IssuedCertificate
from data.operations.certificates.listing import CertificateRow, OwnCertificates
from data.wording.words import Question, counted, moment

STILL_WORKS = (
    "A host accepts a withdrawn certificate until it next fetches the list, which takes about a minute with "
    "the timer from the manual."
)
"""How long a withdrawn certificate can still work; the manual says how to have hosts fetch the list."""


def are_withdrawn(count: int) -> str:
    """Say before an act, after a space, how many certificates it withdraws; empty if there are none."""
    if not count:
        return ""
    return f" This withdraws {counted(count, 'certificate')}. {STILL_WORKS}"


def withdraw_certificate(serial: int) -> Question:
    """Ask whether a certificate should no longer be accepted."""
    return Question(f"Withdraw certificate {serial}?", STILL_WORKS, "Withdraw")


def certificate_words(row: CertificateRow) -> str:
    """Return a certificate in a line: for whom, until when it is valid, and for which key."""
    return f"for {', '.join(row.principals)}, until {moment(row.until)}, key {row.fingerprint}"


def own_lines(own: OwnCertificates) -> str:
    """Return one's own certificates, a line for each, and why there is no other one."""
    lines = [*map(certificate_words, own.rows), *([own.refusal] if own.refusal else [])]
    return "\n".join(lines) or "none"


def user_lines(rows: Iterable[CertificateRow]) -> str:
    """Return the live certificates of a user, a line for each."""
    return "\n".join(map(certificate_words, rows)) or "none"


def how_to_save(made: IssuedCertificate) -> str:
    """Say what to do with a new certificate, and how long it can be used."""
    return (
        "Save this one line beside the key, such as ~/.ssh/id_ed25519-cert.pub for ~/.ssh/id_ed25519. "
        f"It lets you in as {', '.join(made.principals)} until {moment(made.until)}."
    )
