"""What a check-up finds at the certificates of an account."""

from data.operations.actors import Acting
from data.operations.certificates.authorities import former_authorities, present_authority, signer
from data.operations.certificates.effective_principals import principals_of_all
from data.rules.doctor import CertificateFacts, Finding, judge_certificates
from data.rules.permanent_mode import NAMED, People
from data.storage import models
from data.storage.vault import SealBrokenError


def check_certificates(acting: Acting, account: models.Account) -> tuple[Finding, ...]:
    """Judge the certificates of the actor's account."""
    present = present_authority(account.id)
    former = former_authorities(acting) if present else ()
    facts = CertificateFacts(
        hours=account.certificate_hours,
        present=present.fingerprint if present else None,
        opens=present is not None and _opens(acting, present),
        former=tuple((row.fingerprint, row.last_until) for row in former if row.last_until),
        nameless=_nameless(acting),
    )
    return judge_certificates(account.name, facts)


def _opens(acting: Acting, authority: models.CertificateAuthority) -> bool:
    try:
        signer(acting.tx, authority)
    except SealBrokenError:
        return False
    return True


def _nameless(acting: Acting) -> People:
    """Return the active users whose names are reserved, and who were given no principal."""
    table = models.User
    found = table.select().where(
        table.account == acting.account_id,
        table.active,
        table.name.in_(acting.tx.services.reserved_principals),
    )
    users = list(found.order_by(table.name))
    principals = principals_of_all(acting.tx, users) if users else {}
    names = tuple(user.name for user in users if not principals[user.id])
    return People(len(names), names[:NAMED])
