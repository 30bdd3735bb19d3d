"""Issuing user certificates."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from data.operations.actors import ActingUser
from data.operations.audit import trail
from data.operations.certificates.authorities import is_authority, present_authority, signer, wire_form
from data.operations.certificates.effective_principals import principals_of
from data.operations.guards import is_fresh, require_user, which_proof
from data.operations.results import Denied, FreshProofNeeded
from data.rules import public_keys
from data.rules.audit_events import Event
from data.rules.certificate_issuing import CodeInSession, MayHave, MayNotHave, judge, why_too_many
from data.rules.domain_types import FirstFactor
from data.rules.public_keys import PublicKey
from data.rules.safe_text import safe
from data.rules.source_addresses import Network, parse_network, unmapped
from data.rules.ssh_certificates import CLOCKS_DIFFER, SERIAL_BITS, Extension, Terms, certify, key_id
from data.storage import models
from data.store import Tx

MOST_SOURCES = 16
"""Networks that a certificate can be bound to."""
_NONCE_BYTES = 32
_SERIAL_BYTES = 8
_NO_AUTHORITY = Denied(
    "The account has no certificate authority yet. The operator can make one on the host with: "
    "twofold ca init"
)
_NO_KEY = Denied("You signed in with a password. Give the public key that the certificate is for.")
_NO_PRINCIPALS = Denied(
    "Your name is reserved, and you have no other principal. Ask a security administrator for one."
)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate: the line to store, and what it says."""

    line: str
    serial: int
    key_id: str
    fingerprint: str
    principals: tuple[str, ...]
    source_addresses: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a certificate is for, as it was checked."""

    key: PublicKey
    sources: tuple[str, ...]
    principals: frozenset[str]
    authority: models.CertificateAuthority


@require_user()
def issue_certificate(
    me: ActingUser, public_key: str | None, source_addresses: tuple[str, ...] = ()
) -> IssuedCertificate | Denied | FreshProofNeeded:
    """Issue a certificate for a public key, or if there is none, for the key that this session proved.

    With `source_addresses`, hosts accept it from these addresses and networks only.
    """
    verdict = judge(me.policy, me.facts, me.user.account.certificate_hours, _code_in(me))
    if isinstance(verdict, MayNotHave):
        return Denied(verdict.reason)
    wanted = _read(me, public_key, source_addresses)
    if isinstance(wanted, Denied):
        return wanted
    return _issue(me, wanted, verdict.life) if isinstance(verdict, MayHave) else which_proof(me, code=True)


def _read(me: ActingUser, public_key: str | None, source_addresses: tuple[str, ...]) -> _Wanted | Denied:
    """Read what is to be certified for whom, or why it is not, whatever code is given."""
    key = _proven_key(me) if public_key is None else _given_key(public_key)
    sources = _sources(source_addresses)
    authority, principals = present_authority(me.account_id), principals_of(me.tx, me.user)
    if isinstance(key, Denied):
        return key
    if isinstance(sources, Denied):
        return sources
    refusal = why_no_other(me)
    if authority is None or refusal:
        return refusal or _NO_AUTHORITY
    return _Wanted(key, sources, principals, authority)


def why_no_other(me: ActingUser) -> Denied | None:
    """Return why the actor cannot have another certificate, whatever the policy and the code."""
    if present_authority(me.account_id) is None:
        return _NO_AUTHORITY
    if reason := why_too_many(_live(me)):
        return Denied(reason)
    return None if principals_of(me.tx, me.user) else _NO_PRINCIPALS


def _issue(me: ActingUser, wanted: _Wanted, life: timedelta) -> IssuedCertificate:
    now, account = me.tx.now.replace(microsecond=0), me.user.account
    serial = _new_serial(me.tx)
    terms = Terms(
        serial,
        key_id(account.name, me.user.name, serial),
        wanted.principals,
        now - CLOCKS_DIFFER,
        now + life,
        extensions_of(account),
        wanted.sources,
    )
    nonce, authority = me.tx.services.random_bytes(_NONCE_BYTES), wanted.authority
    line = certify(wanted.key, terms, nonce, wire_form(authority), signer(me.tx, authority))
    return _record(me, wanted, terms, line)


def extensions_of(account: models.Account) -> frozenset[Extension]:
    """Return what certificates of an account permit."""
    return frozenset(Extension(name) for name in account.certificate_extensions.split())


def _code_in(me: ActingUser) -> CodeInSession:
    """Describe the code of this session; a sign-in from a remembered address unsets when proof was given."""
    session = me.session
    return CodeInSession(
        fresh=is_fresh(me.tx, session.code_at),
        temporary=session.temporary_code,
        relies_on_address=session.fresh_at is None,
    )


def _proven_key(me: ActingUser) -> PublicKey | Denied:
    """Return the key that the actor signed in with."""
    if me.session.first_factor != FirstFactor.KEY.value:
        return _NO_KEY
    table = models.PublicKey
    row = table.get_or_none((table.user == me.user.id) & (table.fingerprint == me.session.credential))
    return _NO_KEY if row is None else _given_key(f"{row.algorithm} {row.blob}")


def _given_key(text: str) -> PublicKey | Denied:
    key = public_keys.parse(text)
    if not isinstance(key, PublicKey):
        return Denied(key.value)
    if is_authority(key.fingerprint):
        return Denied("That is the key of a certificate authority. Use a key of your own.")
    return key


def _sources(texts: tuple[str, ...]) -> tuple[str, ...] | Denied:
    """Read networks, each once and in the order given; OpenSSH takes nothing else."""
    if len(texts) > MOST_SOURCES:
        return Denied(f"A certificate can be bound to at most {MOST_SOURCES} networks.")
    read: list[Network] = []
    for text in texts:
        if (network := parse_network(text)) is None:
            said = f"{safe(text, 64)} is not an address or a network."
            return Denied(f"{said} Write one such as 10.0.0.7 or 10.0.0.0/24, and no host's name.")
        # sshd takes a mapped address for the IPv4 one, and compares no address with another family's.
        read.append(unmapped(network))
    return tuple(dict.fromkeys(map(str, read)))


def _live(me: ActingUser) -> int:
    table = models.Certificate
    return int(table.select().where((table.user == me.user.id) & (table.until > me.tx.now)).count())


def _new_serial(tx: Tx) -> int:
    """Draw a serial that no certificate has; counted ones would be given out again after a restore."""
    table = models.Certificate
    while True:
        drawn = int.from_bytes(tx.services.random_bytes(_SERIAL_BYTES)) >> (8 * _SERIAL_BYTES - SERIAL_BITS)
        # OpenSSH takes zero for a certificate that has no serial.
        if drawn and not table.select().where(table.serial == drawn).exists():
            return drawn


def _record(me: ActingUser, wanted: _Wanted, terms: Terms, line: str) -> IssuedCertificate:
    principals = tuple(sorted(terms.principals))
    models.Certificate.insert(
        serial=terms.serial,
        authority=wanted.authority.id,
        user=me.user.id,
        session=me.session.id,
        key_id=terms.key_id,
        fingerprint=wanted.key.fingerprint,
        principals=" ".join(principals),
        source_addresses=" ".join(terms.source_addresses),
        issued_at=me.tx.now,
        until=terms.valid_before,
    ).execute()
    trail.record(
        me,
        Event.CERTIFICATE_ISSUED,
        me.user.name,
        serial=terms.serial,
        fingerprint=wanted.key.fingerprint,
        principals=", ".join(principals),
        sources=", ".join(terms.source_addresses),
        until=f"{terms.valid_before:%Y-%m-%d %H:%M} UTC",
    )
    return IssuedCertificate(
        line,
        terms.serial,
        terms.key_id,
        wanted.key.fingerprint,
        principals,
        terms.source_addresses,
        terms.valid_before,
    )
