"""The master key: recognising the database's, sealing under it, and rotating it while others serve."""

import secrets
from dataclasses import dataclass

from data.operations.actors import ActingOperator
from data.operations.applications.registry import secret_place
from data.operations.audit import trail
from data.operations.audit.chain import cut_place, key_place
from data.operations.certificates.authorities import authority_place
from data.operations.guards import require_operator
from data.operations.results import Denied, Done
from data.rules.audit_chain import KEY_BYTES, Head
from data.rules.audit_events import Event
from data.storage import models
from data.store import Tx

BATCH = 500
"""Factors that one transaction reseals."""
_OPERATOR_ONLY = Denied("Only the operator on the host can rotate the master key.")
_OTHER_KEY = Denied(
    "The database is sealed under a different key than the one this rotation starts from. Copy "
    "master.key from the "
    "node where it was rotated."
)
_DIGEST_KEYS = "installation:digest keys"


@dataclass(frozen=True, slots=True)
class Resealed:
    """How far the sealed secrets were processed, and how many were resealed on the way."""

    after: int
    seen: int
    count: int


def fits(tx: Tx) -> bool:
    """Whether the master keys that are here open everything sealed in the database; if so, use them."""
    row = models.Installation.select().first()
    vault = tx.services.vault
    checks = [check for check in (row.key_check, row.former_key_check) if check] if row else []
    if not checks or not all(vault.holds(check) for check in checks):
        return False
    vault.use_digest_keys(_digest_keys(tx, row))
    return True


@require_operator(_OPERATOR_ONLY)
def begin_rotation(acting: ActingOperator, former: str, new: str) -> Done | Denied:
    """Seal everything under a new key from now on; the former one still opens older values.

    Both are named by their check values. Starting a rotation again does nothing.
    """
    row = models.Installation.get()
    if row.key_check == new:
        return Done("The rotation is in progress.")
    if row.key_check != former or row.former_key_check is not None:
        return _OTHER_KEY
    digests = acting.tx.services.vault.seal_at(_DIGEST_KEYS, _digest_keys(acting.tx, row), new)
    models.Installation.update(key_check=new, former_key_check=former, sealed_digest_keys=digests).execute()
    _renew_chains(acting.tx, new)
    _reseal_applications(acting.tx, new)
    _reseal_authorities(acting.tx, new)
    trail.record_everywhere(acting, Event.KEY_ROTATION_BEGUN)
    return Done("The rotation has started.")


@require_operator(_OPERATOR_ONLY)
def count_sealed(_acting: ActingOperator) -> int:
    """Count the values that a rotation processes."""
    return models.Factor.select().count()


@require_operator(_OPERATOR_ONLY)
def reseal_batch(acting: ActingOperator, after: int, *, limit: int = BATCH) -> Resealed:
    """Reseal the next factors after the one with this ID; already resealed ones stay."""
    table, vault = models.Factor, acting.tx.services.vault
    check = models.Installation.get().key_check
    rows = list(table.select().where(table.id > after).order_by(table.id).limit(limit))
    count = 0
    for row in rows:
        sealed = bytes(row.sealed_secret)
        if not sealed or vault.is_under(sealed, check):
            continue
        secret = vault.open(sealed, user_id=row.user_id, factor_id=row.id)
        anew = vault.seal(secret, user_id=row.user_id, factor_id=row.id, under=check)
        table.update(sealed_secret=anew).where(table.id == row.id).execute()
        count += 1
    return Resealed(rows[-1].id if rows else after, len(rows), count)


@require_operator(_OPERATOR_ONLY)
def finish_rotation(acting: ActingOperator, count: int) -> Done:
    """Stop needing the former key, once everything was processed since the rotation began."""
    if models.Installation.get().former_key_check is not None:
        models.Installation.update(former_key_check=None).execute()
        trail.record_everywhere(acting, Event.KEY_ROTATED, count=count)
    return Done("The master key was rotated.")


def _digest_keys(tx: Tx, row: models.Installation) -> bytes:
    """Return the digest keys: stored since the first rotation, before that those of the one master key."""
    if row.sealed_digest_keys is None:
        return tx.services.vault.digest_keys_of(row.key_check)
    return tx.services.vault.open_at(_DIGEST_KEYS, bytes(row.sealed_digest_keys))


def _reseal_applications(tx: Tx, new: str) -> None:
    """Reseal the few secrets that applications share with us, at once."""
    table, vault = models.Application, tx.services.vault
    for row in list(table.select().where(table.sealed_secret.is_null(False))):
        place = secret_place(row.id)
        sealed = vault.seal_at(place, vault.open_at(place, bytes(row.sealed_secret or b"")), new)
        table.update(sealed_secret=sealed).where(table.id == row.id).execute()


def _reseal_authorities(tx: Tx, new: str) -> None:
    """Reseal the few keys that sign certificates, at once."""
    table, vault = models.CertificateAuthority, tx.services.vault
    for row in list(table.select()):
        place = authority_place(row.id)
        sealed = vault.seal_at(place, vault.open_at(place, bytes(row.sealed_key)), new)
        table.update(sealed_key=sealed).where(table.id == row.id).execute()


def _renew_chains(tx: Tx, new: str) -> None:
    """Give each audit chain a key that the former master key never sealed; older keys are resealed."""
    chains, keys, cuts, vault = models.AuditChain, models.AuditChainKey, models.AuditCut, tx.services.vault
    for old in keys.select():
        place = key_place(old.chain, old.epoch, old.after_seq, old.after_mac)
        sealed = vault.seal_at(place, vault.open_at(place, bytes(old.sealed_key)), new)
        keys.update(sealed_key=sealed).where((keys.chain == old.chain) & (keys.epoch == old.epoch)).execute()
    for cut in cuts.select():
        place = cut_place(Head(cut.chain, cut.seq, cut.mac))
        seal = vault.seal_at(place, vault.open_at(place, bytes(cut.seal)), new)
        cuts.update(seal=seal).where((cuts.chain == cut.chain) & (cuts.seq == cut.seq)).execute()
    for chain in chains.select():
        epoch = chain.epoch + 1
        place = key_place(chain.name, epoch, chain.seq, chain.mac)
        sealed = vault.seal_at(place, secrets.token_bytes(KEY_BYTES), new)
        keys.insert(
            chain=chain.name, epoch=epoch, after_seq=chain.seq, after_mac=chain.mac, sealed_key=sealed
        ).execute()
        chains.update(epoch=epoch).where(chains.name == chain.name).execute()
