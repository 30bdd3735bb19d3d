"""Time-based codes against the vectors of RFC 6238 and against an implementation of our own."""

import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.database import totp as independent

from data.rules import totp
from data.rules.totp import Matched, Replayed, Unmatched

RFC_SECRET = totp.encode_secret(b"12345678901234567890")
RFC_VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""RFC 6238 appendix B, the column of SHA-1, with eight digits; six digits are their last six."""
NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
PRESENT = totp.step_at(NOON)

secrets = st.binary(min_size=20, max_size=20).map(totp.encode_secret)
moments = st.integers(min_value=0, max_value=2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@pytest.mark.parametrize(("seconds", "eight_digits"), RFC_VECTORS)
def test_rfc_6238_vectors(seconds, eight_digits):
    moment = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_at(RFC_SECRET, totp.step_at(moment)) == eight_digits[-6:]
    assert totp.match_step(RFC_SECRET, eight_digits[-6:], at=moment, after=-1) == Matched(seconds // 30)


@given(secrets, moments)
def test_another_implementation(secret, moment):
    assert totp.code_at(secret, totp.step_at(moment)) == independent(secret, moment)


def test_a_code_is_the_one_that_oathtool_computes(require_program):
    command = [require_program("oathtool"), "--totp", "--base32", f"--now={NOON:%Y-%m-%d %H:%M:%S} UTC"]
    printed = subprocess.run([*command, RFC_SECRET], capture_output=True, text=True, check=True).stdout
    assert totp.code_at(RFC_SECRET, PRESENT) == printed.strip()


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_window_is_one_step_on_either_side(steps, good):
    code = totp.code_at(RFC_SECRET, PRESENT + steps)
    verdict = totp.match_step(RFC_SECRET, code, at=NOON, after=-1)
    assert verdict == (Matched(PRESENT + steps) if good else Unmatched())


@given(secrets, moments, st.lists(st.tuples(st.integers(0, 90), st.integers(-3, 3)), max_size=30))
def test_a_step_is_never_accepted_twice_or_backwards(secret, start, tries):
    moment, last = start, -1
    for seconds, steps in tries:
        moment += timedelta(seconds=seconds)
        code = totp.code_at(secret, max(0, totp.step_at(moment) + steps))
        verdict = totp.match_step(secret, code, at=moment, after=last)
        if isinstance(verdict, Matched):
            assert verdict.step > last
            last = verdict.step


@given(secrets, moments)
def test_spent_code_is_not_a_wrong_one(secret, moment):
    present = totp.step_at(moment)
    code = totp.code_at(secret, present)
    verdict = totp.match_step(secret, code, at=moment, after=present + 1)
    assert isinstance(verdict, Replayed)


def test_code_of_a_spent_and_a_live_step(monkeypatch):
    """It counts for the live one."""
    monkeypatch.setattr(pyotp.TOTP, "generate_otp", lambda _codes, _step: "123456")
    assert totp.match_step(RFC_SECRET, "123456", at=NOON, after=PRESENT) == Matched(PRESENT + 1)


@given(st.text(alphabet=st.characters(codec=None), max_size=12))
def test_rubbish_is_no_match_and_raises_nothing(typed):
    right = {totp.code_at(RFC_SECRET, PRESENT + steps) for steps in (-1, 0, 1)}
    if typed not in right:
        assert totp.match_step(RFC_SECRET, typed, at=NOON, after=-1) == Unmatched()
        totp.clock_offset(RFC_SECRET, typed, at=NOON)


@pytest.mark.parametrize(
    ("seconds", "after", "wait"),
    [(0, -1, 0), (0, 0, 30), (13, 0, 17), (29, 0, 1), (13, 1, 47), (30, 0, 0)],
)
def test_wait_for_the_next_step(seconds, after, wait):
    moment = NOON + timedelta(seconds=seconds)
    last = -1 if after < 0 else PRESENT + after
    assert totp.seconds_to_live_step(at=moment, after=last) == wait


@pytest.mark.parametrize("minutes", [-10, -5, 0, 3, 10])
def test_clock_offset_has_a_sign(minutes):
    code = totp.code_at(RFC_SECRET, PRESENT + minutes * 2)
    assert totp.clock_offset(RFC_SECRET, code, at=NOON) == minutes * 60


def test_clock_off_by_more_than_ten_minutes():
    assert totp.clock_offset(RFC_SECRET, totp.code_at(RFC_SECRET, PRESENT + 21), at=NOON) is None


@given(st.binary(min_size=1, max_size=40))
def test_a_secret_survives_being_written_and_read(raw):
    assert totp.decode_secret(totp.encode_secret(raw)) == raw


def test_address_of_a_secret():
    """It holds no default parameters and a short issuer."""
    uri = totp.provisioning_uri(RFC_SECRET, username="alice", issuer="A very long organisation")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path.endswith(":alice")
    assert parse_qs(parts.query) == {"secret": [RFC_SECRET], "issuer": ["A very long "[: totp.ISSUER_LIMIT]]}


def test_the_manual_key_stands_in_groups_of_four():
    assert totp.grouped("ABCDEFGHIJ") == "ABCD EFGH IJ"
