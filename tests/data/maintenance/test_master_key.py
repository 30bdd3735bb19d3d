"""Rotating the master key: all goes on under both keys, and afterwards the old one is good for nothing."""

import asyncio
import secrets
from dataclasses import replace

import asyncssh
import pytest
from support.database import MASTER_KEY, OPERATOR, unguarded

from data.operations.audit import chain, verification
from data.operations.certificates import authorities, issuing
from data.operations.maintenance import master_key
from data.operations.results import Denied, Done
from data.operations.signin.admission import Admitted
from data.operations.users import google_authenticator_import
from data.rules.audit_chain import Head, next_head
from data.rules.domain_types import Method
from data.rules.google_authenticator_file import AuthenticatorFile
from data.storage import models
from data.storage.vault import SealBrokenError, UnknownKeyError, Vault, check_value_of
from data.store import OtherKeyError, StoreUnavailableError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
NEW_KEY, THIRD_KEY = bytes([7] * 32), bytes([9] * 32)


@pytest.fixture
def ring(world):
    """The master keys of the world's home, which its process reads again when it must."""
    keys = [MASTER_KEY]
    world.store.services = replace(world.services, vault=Vault(*keys, reread=lambda: tuple(keys)))
    return keys


def begin(world, ring, new=NEW_KEY):
    ring.append(new)
    former, check = (check_value_of(key) for key in ring)
    return world.run(master_key.begin_rotation, OPERATOR, former, check)


def reseal(world, limit=1):
    after = count = 0
    while (batch := world.run(master_key.reseal_batch, OPERATOR, after, limit=limit)).seen:
        after, count = batch.after, count + batch.count
    return count


def finish(world, ring, count=0):
    assert isinstance(world.run(master_key.finish_rotation, OPERATOR, count), Done)
    ring.pop(0)
    world.store.services = replace(world.store.services, vault=Vault(*ring, reread=lambda: tuple(ring)))
    assert world.run(master_key.fits)


def rotate(world, ring, new=NEW_KEY):
    assert isinstance(begin(world, ring, new), Done)
    finish(world, ring, reseal(world))


def faults(world):
    plan = world.run(verification.plan_verification, OPERATOR)
    found = asyncio.run(verification.verify(world.store, OPERATOR, plan, lambda _more: None))
    return [(fault.seq, fault.wrong.name) for fault in found.faults]


def with_keys(world, *keys):
    """Be another process, which holds these keys and no others."""
    world.store.services = replace(world.store.services, vault=Vault(*keys))


def test_sign_ins_at_every_stage(world, ring):
    """Users who enrolled before or during a rotation sign in at every stage."""
    for name in ("anna", "ben"):
        world.enrol(world.user(name))
    world.clock.forward(minutes=1)

    def both_sign_in():
        for name in ("anna", "ben"):
            assert isinstance(world.submit(world.attempt(name), world.live_code(name)), Admitted)

    assert isinstance(begin(world, ring), Done)
    world.enrol(world.user("carla"))
    both_sign_in()
    assert world.run(master_key.reseal_batch, OPERATOR, 0, limit=1).count == 1
    both_sign_in()
    assert reseal(world) == 1
    both_sign_in()
    finish(world, ring)
    both_sign_in()
    assert isinstance(world.submit(world.attempt("carla"), world.live_code("carla")), Admitted)
    assert faults(world) == []
    rotate(world, ring, THIRD_KEY)
    both_sign_in()
    assert faults(world) == []


def test_the_authority_signs_at_every_stage(world, ring):
    """The key that signs certificates is resealed with all else, and then opens under the new key alone."""
    models.Account.update(certificate_hours=8).execute()
    world.run(authorities.init_authority, OPERATOR)
    me = world.enrol(world.user("anna"))
    first = world.run(issuing.issue_certificate, me, KEY)
    begin(world, ring)
    finish(world, ring, reseal(world))
    second = world.run(issuing.issue_certificate, me, KEY)
    signed = [asyncssh.import_certificate(each.line).signing_key for each in (first, second)]
    assert signed[0].public_data == signed[1].public_data
    with_keys(world, MASTER_KEY)
    with pytest.raises(OtherKeyError):
        world.run(issuing.issue_certificate, me, KEY)


def test_sent_and_scratch_codes_stay_good(world, ring):
    world.methods(*Method)
    world.enrol_email(world.user("anna"))
    world.user("ben")
    file = AuthenticatorFile(secrets.token_bytes(20), ("12345678",), -1)
    assert isinstance(world.run(google_authenticator_import.take_over, OPERATOR, [("ben", file)]), Done)
    world.clock.forward(minutes=2)
    attempt = world.attempt("anna")
    sent = world.sent(attempt)
    rotate(world, ring)
    assert isinstance(world.submit(attempt, sent), Admitted)
    assert isinstance(world.submit(world.attempt("ben"), "12345678"), Admitted)


def test_names_fall_into_the_same_buckets_as_before(world, ring):
    before = world.store.services.vault.bucket("anna")
    rotate(world, ring)
    assert world.store.services.vault.bucket("anna") == before


def test_process_with_the_old_key_only(world, ring):
    """It is refused and mixes nothing."""
    world.enrol(world.user("anna"))
    rotate(world, ring)
    world.clock.forward(minutes=1)
    with_keys(world, MASTER_KEY)
    assert not world.run(master_key.fits)
    before = world.dump()
    attempt = world.attempt("anna")
    with pytest.raises(OtherKeyError) as refusal:
        world.submit(attempt, world.code("anna"))
    assert isinstance(refusal.value, StoreUnavailableError)
    assert "must copy master.key" in str(refusal.value)
    with pytest.raises(OtherKeyError):
        world.user("ben")
    assert world.dump() == before
    with_keys(world, NEW_KEY)
    assert isinstance(world.submit(attempt, world.code("anna")), Admitted)


def test_both_keys_are_needed(world, ring):
    """While both are needed, neither key alone opens the installation."""
    begin(world, ring)
    for keys, enough in (((MASTER_KEY,), False), ((NEW_KEY,), False), ((MASTER_KEY, NEW_KEY), True)):
        with_keys(world, *keys)
        assert world.run(master_key.fits) is enough


def test_unused_new_key(world, ring):
    """A key that is here before the rotation begins seals nothing yet."""
    with_keys(world, MASTER_KEY, NEW_KEY)
    assert world.run(master_key.fits)
    world.enrol(world.user("anna"))
    world.clock.forward(minutes=1)
    with_keys(world, MASTER_KEY)
    assert world.run(master_key.fits)
    assert isinstance(world.submit(world.attempt("anna"), world.code("anna")), Admitted)


def test_beginning_twice(world, ring):
    """The same key goes on; another key is denied."""
    begin(world, ring)
    before = world.dump()
    former, check = check_value_of(MASTER_KEY), check_value_of(NEW_KEY)
    assert isinstance(world.run(master_key.begin_rotation, OPERATOR, former, check), Done)
    denied = world.run(master_key.begin_rotation, OPERATOR, check, check_value_of(THIRD_KEY))
    assert isinstance(denied, Denied)
    finish(world, ring)
    other = world.run(master_key.begin_rotation, OPERATOR, former, check_value_of(THIRD_KEY))
    assert isinstance(other, Denied)
    assert world.dump() != before


def test_old_key_forges_nothing(world, ring):
    """Who keeps the old key forges no row and no cut."""
    old = models.AuditChainKey.get()
    old_chain_key = Vault(MASTER_KEY).open_at(chain.key_place("main", 0, 0, ""), bytes(old.sealed_key))
    rotate(world, ring)
    assert faults(world) == []
    table = models.AuditEntry
    last = table.select().order_by(table.seq.desc()).get()
    before = table.get(table.seq == last.seq - 1)
    columns = (models.microseconds(last.at), last.account_id, last.event, "mallory", last.user)
    place = (last.application, last.address, last.detail)
    forged = next_head(old_chain_key, Head("main", before.seq, before.mac), (*columns, *place))
    assert models.AuditChain.get().epoch == 1
    with unguarded(world):
        table.update(actor="mallory", mac=forged.mac).where(table.id == last.id).execute()
    assert faults(world) == [(last.seq, "CHANGED")]
    cut = Head("main", 1, table.get(table.seq == 1).mac)
    seal = Vault(MASTER_KEY).seal_at(chain.cut_place(cut), b"")
    models.AuditCut.insert(chain="main", seq=1, mac=cut.mac, made_at=world.clock.now, seal=seal).execute()
    assert faults(world) == [(1, "CUT")]


def test_old_rows_are_not_rewritten(world, ring):
    """Rows from before cannot be rewritten with the old key."""
    old = models.AuditChainKey.get()
    key = Vault(MASTER_KEY).open_at(chain.key_place("main", 0, 0, ""), bytes(old.sealed_key))
    before = models.AuditChain.get().seq
    rotate(world, ring)
    table = models.AuditEntry
    head = Head("main", 0, "")
    with unguarded(world):
        for entry in table.select().where(table.seq <= before).order_by(table.seq):
            columns = (models.microseconds(entry.at), entry.account_id, entry.event, "mallory", entry.user)
            head = next_head(key, head, (*columns, entry.application, entry.address, entry.detail))
            table.update(actor="mallory", mac=head.mac).where(table.id == entry.id).execute()
    assert faults(world) == [(before, "OTHER")]


def test_the_old_key_opens_nothing_any_more(world, ring):
    world.enrol(world.user("anna"))
    rotate(world, ring)
    factor = models.Factor.get()
    for vault in (Vault(MASTER_KEY), Vault(THIRD_KEY)):
        with pytest.raises(UnknownKeyError):
            vault.open(bytes(factor.sealed_secret), user_id=factor.user_id, factor_id=factor.id)
    opened = Vault(NEW_KEY).open(bytes(factor.sealed_secret), user_id=factor.user_id, factor_id=factor.id)
    assert len(opened) == 20


def test_seals_without_a_key_name():
    """They open under any key of the ring."""
    sealed = Vault(MASTER_KEY).seal(b"x", user_id=1, factor_id=2)
    unnamed = b"\x01" + sealed[9:]
    for vault in (Vault(MASTER_KEY), Vault(MASTER_KEY, NEW_KEY), Vault(NEW_KEY, MASTER_KEY)):
        assert vault.open(unnamed, user_id=1, factor_id=2) == b"x"
    with pytest.raises(SealBrokenError):
        Vault(NEW_KEY).open(unnamed, user_id=1, factor_id=2)


def test_moved_seal_is_broken(world, ring):
    """A seal moved to another factor is broken during a rotation too."""
    for name in ("anna", "mallory"):
        world.enrol(world.user(name))
    begin(world, ring)
    table = models.Factor
    mine, other = (table.get(table.user == world.row(name).id) for name in ("anna", "mallory"))
    table.update(sealed_secret=other.sealed_secret).where(table.id == mine.id).execute()
    with pytest.raises(SealBrokenError):
        reseal(world)


def test_the_log_tells_of_a_rotation(world, ring):
    rotate(world, ring)
    assert world.events(last=2) == ["master_key.rotation_begun", "master_key.rotated"]
