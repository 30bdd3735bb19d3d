"""What lies on the disk opens nothing without the master key."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.database import CHEAP, PASSWORD, START, Clock, services

from data.operations.maintenance import master_key
from data.storage import models
from data.storage.password_hashing import DIGEST_CHARACTERS, CostsInUse, Hasher
from data.storage.vault import SealBrokenError, Vault
from data.store import Tx

KEY, OTHER_KEY = bytes(32), bytes([1] * 32)
SECRET = b"twenty bytes secret!"


@pytest.mark.parametrize(
    ("key", "user", "factor"), [(OTHER_KEY, 1, 2), (KEY, 2, 2), (KEY, 1, 3), (KEY, 2, 1), (KEY, 12, 0)]
)
def test_sealed_secret_and_its_place(key, user, factor):
    """It opens under its key, for its factor, of its user only."""
    sealed = Vault(KEY).seal(SECRET, user_id=1, factor_id=2)
    assert Vault(KEY).open(sealed, user_id=1, factor_id=2) == SECRET
    with pytest.raises(SealBrokenError):
        Vault(key).open(sealed, user_id=user, factor_id=factor)


@given(st.data())
def test_damaged_seal(data):
    sealed = bytearray(Vault(KEY).seal(SECRET, user_id=1, factor_id=2))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(sealed)))
    for damaged in (bytes(sealed), bytes(sealed[:cut])):
        with pytest.raises(SealBrokenError):
            Vault(KEY).open(damaged, user_id=1, factor_id=2)


def test_the_same_secret_is_never_sealed_twice_alike():
    vault = Vault(KEY)
    assert len({vault.seal(SECRET, user_id=1, factor_id=2) for _ in range(50)}) == 50


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(bytes(length))


def test_key_check_value():
    """A key is known by a value that does not give it away."""
    assert Vault(KEY).check_value == Vault(KEY).check_value != Vault(OTHER_KEY).check_value
    assert KEY.hex() not in Vault(KEY).check_value


@given(st.text(alphabet=st.characters(codec=None)))
def test_buckets_of_typed_names(name):
    """A typed name falls into one of a few buckets that depend on the key."""
    assert 0 <= Vault(KEY).bucket(name) < 4096
    assert Vault(KEY).bucket(name) == Vault(KEY).bucket(name)


def test_no_secret_in_the_database_file(world):
    world.enrol(world.user("anna"))
    world.one_time_password("anna", password="a one-time password")
    raw = base64.b32decode(world.secrets["anna"])
    on_disk = world.file_bytes()
    assert b"argon2id" in on_disk
    secrets = [raw, raw.hex().encode(), world.secrets["anna"].encode(), base64.b64encode(raw)]
    secrets += [code.replace("-", "")[4:].encode() for code in world.recovery["anna"]]
    secrets += [b"a one-time password", PASSWORD.encode()]
    assert not [secret for secret in secrets if secret in on_disk]


def test_a_secret_moved_to_another_user_opens_nothing(world):
    world.enrol(world.user("anna"))
    world.enrol(world.user("mallory"))
    world.clock.forward(minutes=1)
    sealed = models.Factor.get(models.Factor.user == world.row("mallory").id).sealed_secret
    models.Factor.update(sealed_secret=sealed).where(models.Factor.user == world.row("anna").id).execute()
    with pytest.raises(SealBrokenError):
        world.submit(world.attempt("anna"), world.code("mallory"))
    assert world.events(user="anna", last=1) == ["recovery.saved"]


def test_an_installation_knows_its_master_key(world):
    assert world.run(master_key.fits)
    assert not master_key.fits(Tx(START, services(Clock(), OTHER_KEY), world.database))


def test_services_and_attempts_show_no_key():
    shown = repr(services(Clock()))
    assert "Vault" not in shown


def test_a_hash_is_argon2id_and_salted():
    hasher = Hasher(CHEAP)
    assert hasher.hash("x").startswith("$argon2id$")
    assert hasher.hash("x") != hasher.hash("x")


@given(st.text(alphabet=st.characters(codec=None), min_size=1, max_size=60))
def test_a_hash_verifies_its_own_secret_only(secret):
    hasher = Hasher(CHEAP)
    stored = hasher.hash(secret)
    assert hasher.verify(stored, secret)
    assert not hasher.verify(stored, secret + "x")


def test_composed_characters_are_equal():
    """The same characters composed differently are the same password."""
    hasher = Hasher(CHEAP)
    assert hasher.verify(hasher.hash("pässword"), "pa\u0308ssword")


def test_a_hash_of_the_reference_implementation():
    stored = "$argon2id$v=19$m=64,t=2,p=1$IHMu/alY4M2FYqwVtf55UQ$FUTCxf8S9"
    stored += "vwF3G6gB1jVskTz5GRHVNmMIJXCWXvJPmw"
    assert Hasher(CHEAP).verify(stored, "correct horse battery 77")
    assert not Hasher(CHEAP).verify(stored, "correct horse battery 78")


@pytest.mark.parametrize("stored", ["", "rubbish", "$argon2id$v=19$m=8,t=1,p=1$", "$2b$12$abc"])
def test_a_damaged_hash_verifies_nothing(stored):
    assert not Hasher(CHEAP).verify(stored, "x")
    assert not Hasher(CHEAP).verify(stored, "")


def test_decoy_and_endless_passwords():
    hasher = Hasher(CHEAP)
    assert not hasher.verify(hasher.decoy, "")
    costs = CostsInUse()
    assert costs.decoy(0.5) is None
    costs.count([(hasher.decoy[:-DIGEST_CHARACTERS], 1)], START)
    decoy = costs.decoy(0.5)
    assert len(decoy) == len(hasher.decoy)
    assert decoy.split("$")[:4] == hasher.decoy.split("$")[:4]
    assert not hasher.verify(decoy, "")
    assert not hasher.verify(hasher.hash("x" * 257), "x" * 257)
    assert not hasher.verify(hasher.hash("x" * 256), "x" * 257)
