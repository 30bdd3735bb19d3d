"""What a check-up finds at the certificates of an account."""

import json
from datetime import datetime

from data.operations.actors import Acting
from data.operations.certificates.authorities import former_authorities, present_authority, signer
from data.operations.certificates.effective_principals import principals_of_all
from data.rules.audit_events import Event
from data.rules.doctor import CertificateFacts, Finding, judge_certificates, judge_restored
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


def check_restored(acting: Acting) -> tuple[Finding, ...]:
    """Judge whether the account's authority is one of a backup that may have been rotated since."""
    at = in_doubt_since(acting.account_id)
    return () if at is None else (judge_restored(models.Account.get_by_id(acting.account_id).name, at),)


def in_doubt_since(account_id: int) -> datetime | None:
    """Return when a backup was restored whose authority still signs and may not be the last, if one was."""
    present, table = present_authority(account_id), models.AuditEntry
    its = (table.account == account_id) & (table.event == Event.RESTORED.value)
    restored = table.select().where(its).order_by(table.id.desc()).first()
    if present is None or restored is None or present.created_at > restored.at:
        return None
    at: datetime = restored.at
    return None if json.loads(restored.detail).get("knows_authorities", True) else at


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
