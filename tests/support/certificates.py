"""Certificates for tests that need some but are not about how they are issued."""

from datetime import timedelta
from itertools import count

from support.database import World

from data.operations.actors import Member
from data.operations.certificates.effective_principals import principals_of
from data.storage import models

_serials = count(1)


def give_certificate(world: World, member: Member, fingerprint: str = "SHA256:other", hours: int = 8) -> int:
    """Store a certificate as if it had been issued in a session now; return its serial."""
    session = models.Session.get_by_id(member.session_id)
    user, tx_now, table = session.user, world.clock.now, models.CertificateAuthority
    authority = table.get_or_none(table.account == user.account_id) or table.create(
        account=user.account_id, public_key="", fingerprint="", sealed_key=b"", created_at=tx_now
    )
    serial = next(_serials)
    models.Certificate.insert(
        serial=serial,
        authority=authority.id,
        user=user.id,
        session=session.id,
        key_id=f"{user.account.name}/{user.name}#{serial}",
        fingerprint=fingerprint,
        principals=" ".join(sorted(world.run(principals_of, user))),
        issued_at=tx_now,
        until=tx_now.replace(microsecond=0) + (timedelta(hours=hours)),
    ).execute()
    return serial


def live_serials(world: World) -> set[int]:
    """Return the serials of the certificates that have neither ended nor been withdrawn."""
    table = models.Certificate
    live = table.select().where((table.until > world.clock.now) & table.withdrawn_at.is_null())
    return {row.serial for row in live}
