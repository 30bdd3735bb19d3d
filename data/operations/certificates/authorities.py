"""The certificate authority of an account: made, shown and rotated by the operator on the host."""

import base64
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from data.operations.actors import Acting, ActingOperator, resolve
from data.operations.audit import trail
from data.operations.certificates.withdrawal import is_live
from data.operations.guards import require_operator
from data.operations.results import Denied, SessionOver
from data.operations.secret_sealing import seal_at
from data.rules.audit_events import Event
from data.rules.public_keys import fingerprint
from data.rules.ssh_certificates import SIGNED_BY, Sign, ed25519_blob
from data.storage import models
from data.store import Tx

OPERATOR_ONLY = Denied("Only the operator on the host can manage the account's certificate authority.")
NO_AUTHORITY = Denied("The account has no certificate authority. Make one with: twofold ca init")
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class AuthorityRow:
    """An authority of an account: the line of its public key, and its live certificates.

    `retired_at` is when another one replaced it, and `last_until` when the last of its certificates ends.
    """

    public_key: str
    fingerprint: str
    created_at: datetime
    retired_at: datetime | None
    live: int
    last_until: datetime | None


@dataclass(frozen=True, slots=True)
class AuthoritiesView:
    """The authorities that hosts must trust: the present one, then former ones whose certificates live."""

    account: str
    present: AuthorityRow
    former: tuple[AuthorityRow, ...]


@require_operator(OPERATOR_ONLY)
def init_authority(acting: ActingOperator) -> AuthoritiesView | Denied | SessionOver:
    """Make the account's certificate authority."""
    here = resolve(acting.tx, acting.operator)
    if not isinstance(here, Acting):
        return here
    if present_authority(here.account_id) is not None:
        return Denied("The account has a certificate authority already. See it with: twofold ca show")
    made = _make(here)
    trail.record(here, Event.AUTHORITY_CREATED, fingerprint=made.fingerprint)
    return _view(here, made)


@require_operator(OPERATOR_ONLY)
def show_authorities(acting: ActingOperator) -> AuthoritiesView | Denied | SessionOver:
    """Read the account's authorities that hosts must trust."""
    here = resolve(acting.tx, acting.operator)
    if not isinstance(here, Acting):
        return here
    present = present_authority(here.account_id)
    return NO_AUTHORITY if present is None else _view(here, present)


@require_operator(OPERATOR_ONLY)
def rotate_authority(acting: ActingOperator, seen: str) -> AuthoritiesView | Denied | SessionOver:
    """Have a new authority sign from now on; certificates of the former one stay valid until they end.

    `seen` is the fingerprint of the authority that the operator decided to replace.
    """
    here = resolve(acting.tx, acting.operator)
    if not isinstance(here, Acting):
        return here
    former = present_authority(here.account_id)
    if former is None:
        return NO_AUTHORITY
    if former.fingerprint != seen:
        return Denied("The certificate authority was rotated in the meantime. Nothing was changed.")
    table = models.CertificateAuthority
    table.update(retired_at=acting.tx.now).where(table.id == former.id).execute()
    made = _make(here)
    trail.record(
        here, Event.AUTHORITY_ROTATED, fingerprint=made.fingerprint, former_fingerprint=former.fingerprint
    )
    return _view(here, made)


def present_authority(account_id: int) -> models.CertificateAuthority | None:
    """Read the authority that signs an account's certificates now, if there is one."""
    table = models.CertificateAuthority
    found: models.CertificateAuthority | None = table.get_or_none(
        (table.account == account_id) & table.retired_at.is_null()
    )
    return found


def signer(tx: Tx, authority: models.CertificateAuthority) -> Sign:
    """Return what signs with an authority's private key."""
    return Ed25519PrivateKey.from_private_bytes(private_key(tx, authority)).sign


def private_key(tx: Tx, authority: models.CertificateAuthority) -> bytes:
    """Return the 32 bytes of an authority's private key.

    Raises:
        SealBrokenError: when they cannot be opened.
    """
    return tx.services.vault.open_at(authority_place(authority.id), bytes(authority.sealed_key))


def wire_form(authority: models.CertificateAuthority) -> bytes:
    """Return the wire form of an authority's public key."""
    return base64.b64decode(authority.public_key.split()[1])


def is_authority(key_fingerprint: str) -> bool:
    """Whether a key is that of an authority of any account: a certificate for it would be confusing."""
    table = models.CertificateAuthority
    return bool(table.select().where(table.fingerprint == key_fingerprint).exists())


def authority_place(authority_id: int) -> str:
    """Return the place that the private key of an authority is sealed for."""
    return f"authority:{authority_id}"


def _make(here: Acting) -> models.CertificateAuthority:
    return store_authority(
        here.tx, here.account_id, here.tx.services.random_bytes(_KEY_BYTES), here.tx.now, None
    )


def store_authority(
    tx: Tx, account_id: int, private_bytes: bytes, created_at: datetime, retired_at: datetime | None
) -> models.CertificateAuthority:
    """Store an authority with its private key, which is sealed."""
    private = Ed25519PrivateKey.from_private_bytes(private_bytes)
    blob = ed25519_blob(private.public_key().public_bytes_raw())
    table = models.CertificateAuthority
    authority_id = table.insert(
        account=account_id,
        public_key=f"{SIGNED_BY} {base64.b64encode(blob).decode('ascii')}",
        fingerprint=fingerprint(blob),
        sealed_key=b"",
        created_at=created_at,
        retired_at=retired_at,
    ).execute()
    sealed = seal_at(tx, authority_place(authority_id), private_bytes)
    table.update(sealed_key=sealed).where(table.id == authority_id).execute()
    found: models.CertificateAuthority = table.get_by_id(authority_id)
    return found


def former_authorities(here: Acting) -> tuple[AuthorityRow, ...]:
    """Read the retired authorities of the actor's account whose certificates live, the latest first."""
    table = models.CertificateAuthority
    retired = (table.account == here.account_id) & table.retired_at.is_null(False)
    former = (_row(here.tx, row) for row in table.select().where(retired).order_by(table.id.desc()))
    return tuple(row for row in former if row.live)


def _view(here: Acting, present: models.CertificateAuthority) -> AuthoritiesView:
    account = models.Account.get_by_id(here.account_id).name
    return AuthoritiesView(account, _row(here.tx, present), former_authorities(here))


def _row(tx: Tx, authority: models.CertificateAuthority) -> AuthorityRow:
    table = models.Certificate
    live = table.select().where((table.authority == authority.id) & is_live(tx))
    last = live.order_by(table.until.desc()).first()
    return AuthorityRow(
        authority.public_key,
        authority.fingerprint,
        authority.created_at,
        authority.retired_at,
        live.count(),
        last and last.until,
    )
