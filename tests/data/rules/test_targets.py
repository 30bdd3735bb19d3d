"""Targets: where they may lead, how their hosts are written, and who may jump at all."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.database import START

from data.rules.domain_types import FirstFactor, Method, Mode, Policy, Proof, Role, UserFacts
from data.rules.invitations import SshAddress
from data.rules.policy import SignedIn, next_step
from data.rules.target_addresses import why_not_address
from data.rules.targets import (
    NewTarget,
    fold_host,
    fold_name,
    folded,
    jump_command,
    not_among,
    place_in_words,
    why_no_jump,
    why_unreachable,
)

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
CLINIC = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
OWN = ("10.0.0.1", "2001:db8::1")
CARRIERS = ("::ffff:{}", "::{}", "64:ff9b::{}")
SPECIAL = (
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1"),
)
v4 = st.ip_addresses(v=4)


def carried(inner: IPv4Address) -> list[str]:
    """Write an IPv4 address in each way in which an IPv6 address carries one."""
    six_to_four = IPv6Address((0x2002 << 112) | (int(inner) << 80) | 1)
    return [str(inner), *(form.format(inner) for form in CARRIERS), str(six_to_four)]


@pytest.mark.feature("targets-addresses")
@given(v4)
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("0.0.0.0"))
@example(IPv4Address("169.254.169.254"))
@example(IPv4Address(OWN[0]))
def test_what_is_carried_is_judged(address):
    """However an IPv4 address is wrapped, it is judged as itself; `::` and `::1` are none."""
    for networks in (EVERYWHERE, CLINIC, ()):
        verdicts = {
            why_not_address(form, by_operator=False, networks=networks, own=OWN)
            for form in carried(address)
            if form not in ("::0.0.0.0", "::0.0.0.1")
        }
        assert len(verdicts) == 1


@pytest.mark.feature("targets-addresses")
@pytest.mark.parametrize(
    "address",
    [
        *(form for special in SPECIAL for form in carried(IPv4Address(special))),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "ff02::1", "64:ff9b:1::a00:5", "::ffff:0:0", *OWN),
        *("", "db1", "10.0.0.5/8", "2130706433", "0x7f.1", "017700000001", "10.0.0.05"),
    ],
)
def test_what_no_member_reaches(address):
    """Not even where every network is allowed."""
    assert why_not_address(address, by_operator=False, networks=EVERYWHERE, own=OWN)


@pytest.mark.feature("targets-addresses")
def test_the_operator_reaches_all():
    for address in ("127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "fe80::1%eth0"):
        assert why_not_address(address, by_operator=True, networks=(), own=OWN) is None
    assert why_not_address("db1", by_operator=True, networks=(), own=()) == "is not an address"


@pytest.mark.feature("targets-addresses")
def test_networks_bound_members():
    assert why_not_address("10.1.2.3", by_operator=False, networks=CLINIC, own=OWN) is None
    assert why_not_address("2001:db8::5", by_operator=False, networks=CLINIC, own=OWN) is None
    outside = "is not in [forwarding] networks of twofold.toml"
    assert why_not_address("192.0.2.1", by_operator=False, networks=CLINIC, own=OWN) == outside
    assert why_not_address("10.1.2.3", by_operator=False, networks=(), own=OWN) == outside


@pytest.mark.feature("targets-hosts")
@pytest.mark.parametrize(
    ("typed", "host"),
    [
        (" DB1.Clinic.Example. ", "db1.clinic.example"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("[2001:DB8::0:5]", "2001:db8::5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        *((wrong, None) for wrong in ("", ".", "a..b", "-a", "a b", "a/b", "a:b", "a@b", "a" * 64, "a.\0")),
        *((wrong, None) for wrong in ("2130706433", "0x7f.1", "017700000001", "127.1", "0", "0x7f000001")),
        *((wrong, None) for wrong in ("127.0.0.01", "\uff1127.0.0.1", "2001:db8::1%eth0", "0x", "db.1")),
        *((wrong, None) for wrong in ("fe80::1%a b", "1.0x1", "a" * 999)),
    ],
)
def test_hosts(typed, host):
    assert fold_host(typed) == host


@pytest.mark.feature("targets-hosts")
@given(st.text(st.sampled_from("0123456789abcdefx.:[]%-_ "), max_size=24) | st.text(max_size=24))
@example("0x7f.1")
@example("017700000001")
@example("2130706433")
@example("1.2")
def test_no_other_reading(typed):
    """What libraries read as an address is one in its only form, and folding again changes nothing."""
    host = fold_host(typed)
    if host is None:
        return
    assert fold_host(host) == host
    try:
        read = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return
    assert read == host


@pytest.mark.feature("targets-hosts")
def test_names():
    assert fold_name(" DB-1.north ") == "db-1.north"
    wrong = ("", "db 1", "-db", "10.0.0.5", "1", "db.1", "0x7f", "a" * 33, "ä", "::1", "a" * 9_999)
    assert {fold_name(each) for each in wrong} == {None}
    assert folded(NewTarget("DB1", "DB1.")) == NewTarget("db1", "db1")
    faulty = (
        NewTarget("1", "db1"),
        NewTarget("db1", "1"),
        NewTarget("db1", "db1", 0),
        NewTarget("db1", "db1", 65_536),
        NewTarget("db1", "db1", users=("ben",) * 101),
    )
    assert all(isinstance(folded(new), str) for new in faulty)


@pytest.mark.feature("targets-refusals")
def test_what_is_not_among_them():
    assert not_among("db9", 22, [("db1", 22), ("web1", 22)]) == "db9:22 is not among your targets: db1, web1."
    assert not_among("db1", 22, [("db1", 2200)]) == "db1:22 is not among your targets: db1:2200."
    many = [(f"t{number:02}", 22) for number in range(11)]
    assert not_among("::1", 22, many).endswith("[::1]:22 is not among your targets: " + ", ".join(
        name for name, _ in many[:10]) + ", ...")  # fmt: skip
    none = "db9:22 is not among your targets: you have none that can be reached."
    assert not_among("db9", 22, []) == none
    assert place_in_words("\x1b[31m" + "x" * 300, 22).startswith("\\x1b[31mx")
    assert len(place_in_words("\x1b" * 300, 22)) < 70


@pytest.mark.feature("targets-refusals")
def test_why_no_one_can_reach_one():
    empty = "[forwarding] networks in twofold.toml is empty. The operator must set it."
    assert why_unreachable("db1", by_operator=False, networks=()) == empty
    assert why_unreachable("db1", by_operator=False, networks=CLINIC) == ""
    assert why_unreachable("10.0.0.5", by_operator=False, networks=CLINIC) == ""
    assert why_unreachable("127.0.0.1", by_operator=True, networks=()) == ""
    outside = (
        "192.0.2.1 is not in [forwarding] networks of twofold.toml. The operator must allow it there, or"
    )
    assert why_unreachable("192.0.2.1", by_operator=False, networks=CLINIC).startswith(outside)


@pytest.mark.feature("targets")
def test_the_line_to_type():
    gate = SshAddress("gate.example", 2222, "")
    assert jump_command(gate, "ben", "db1", 22) == "ssh -J ben@gate.example:2222 db1"
    assert jump_command(SshAddress("::1", 22, ""), "ben", "db1", 2200) == "ssh -p 2200 -J ben@[::1] db1"
    assert jump_command(None, "ben", "db1", 22) == "ssh -J gate db1"


facts = st.builds(
    UserFacts,
    active=st.booleans(),
    locked=st.booleans(),
    one_time_password=st.booleans(),
    required=st.booleans(),
    methods=st.sampled_from([(), (Method.APP,)]),
    roles=st.sampled_from([frozenset(), frozenset({Role.SUPPORT})]),
    lost_factor=st.booleans(),
    recovery_codes=st.booleans(),
)
proofs = st.builds(Proof, st.sampled_from(FirstFactor), code=st.booleans(), address_remembered=st.booleans())


@pytest.mark.feature("jumps-both-factors")
@given(st.sampled_from(Mode), facts, proofs, st.booleans())
def test_only_with_both_factors(mode, user, proof, restricted):
    """Who may jump is signed in, has a second factor and proved it, by a code or by one given before."""
    policy = Policy(mode)
    step = next_step(policy, user, proof, START)
    reason = why_no_jump(policy, user, step, restricted=restricted, sign_in="ssh -p 2222 gate")
    if reason is None:
        assert step == SignedIn()
        assert user.active
        assert not user.locked
        assert user.methods
        assert mode is not Mode.OFF
        assert proof.code or proof.address_remembered
        assert not restricted
    elif step == SignedIn() and not restricted and mode is not Mode.OFF and user.methods:
        pytest.fail(reason)


@pytest.mark.feature("jumps-both-factors", "targets-refusals")
@pytest.mark.parametrize(
    ("mode", "user", "proof", "reason"),
    [
        (Mode.OPTIONAL, UserFacts(), Proof(FirstFactor.KEY), "Set up two-factor authentication first: ssh"),
        (Mode.REQUIRED, UserFacts(), Proof(FirstFactor.KEY), "Set up two-factor authentication first: ssh"),
        (
            Mode.OPTIONAL,
            UserFacts(one_time_password=True),
            Proof(FirstFactor.PASSWORD),
            "Change your password first: ssh",
        ),
        (Mode.OPTIONAL, UserFacts(methods=(Method.APP,)), Proof(FirstFactor.KEY), "Enter a code first: ssh"),
        (Mode.OFF, UserFacts(methods=(Method.APP,)), Proof(FirstFactor.KEY), "Two-factor authentication"),
        (Mode.OPTIONAL, UserFacts(locked=True), Proof(FirstFactor.KEY), "Locked after seven wrong codes."),
    ],
)
def test_what_must_be_done_first(mode, user, proof, reason):
    step = next_step(Policy(mode), user, proof, START)
    told = why_no_jump(Policy(mode), user, step, restricted=step != SignedIn(), sign_in="ssh -p 2222 gate")
    assert told is not None
    assert told.startswith(reason)
