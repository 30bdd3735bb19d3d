"""What the commands say about the authority of certificates."""

from data.operations.certificates.authorities import AuthoritiesView, AuthorityRow
from data.rules.safe_text import safe
from data.wording.words import Question, counted, moment

_SSHD = (
    "# On each host, in sshd_config:",
    "TrustedUserCAKeys /etc/ssh/twofold_ca.pub",
    "RevokedKeys /etc/ssh/twofold.krl",
    "AuthorizedPrincipalsFile /etc/ssh/twofold_principals/%u",
)


def authority_lines(view: AuthoritiesView) -> list[str]:
    """Return what a host needs to trust an account's certificates, line by line; `#` begins a remark."""
    lines = ["# On each host, in /etc/ssh/twofold_ca.pub:", _trusted(view.present, view.account)]
    for row in view.former:
        lines += [
            f"# Former one, rotated {moment(row.retired_at)}; remove it after {moment(row.last_until)}:",
            _trusted(row, view.account),
        ]
    return [*lines, *_SSHD]


def rotate_authority(view: AuthoritiesView) -> Question:
    """Ask whether another authority should sign from now on."""
    present = view.present
    kept = (
        f"{counted(present.live, 'certificate')} of the present one, {present.fingerprint}, can be used. "
        f"Let hosts trust both until {moment(present.last_until)}."
        if present.live
        else f"No certificate of the present one, {present.fingerprint}, is live."
    )
    return Question(
        "Rotate the certificate authority?",
        f"A new key signs all certificates from now on. Hosts accept them once they trust it. {kept} If the "
        "present key may be known to others, remove it from all hosts at once instead.",
        "Rotate",
    )


def _trusted(row: AuthorityRow, account: str) -> str:
    return f"{row.public_key} Twofold CA of {safe(account)}"
