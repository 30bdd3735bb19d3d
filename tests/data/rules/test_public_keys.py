"""Public keys as people paste them."""

import base64
import struct
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from data.rules.public_keys import ALGORITHMS, KeyFault, PublicKey, parse


def line(key) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def wire(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def sk_line(algorithm: str, *parts: bytes) -> str:
    blob = wire(algorithm.encode(), *parts, b"ssh:")
    return f"{algorithm} {base64.b64encode(blob).decode()} token"


ED25519 = ed25519.Ed25519PrivateKey.generate()
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "521": ec.SECP521R1()}
RAW_ED25519 = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
P256_POINT = (
    ec.generate_private_key(CURVES["256"])
    .public_key()
    .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
)


def test_ed25519_with_comment_and_fingerprint(tmp_path, require_program):
    path = tmp_path / "key.pub"
    path.write_text(f"{line(ED25519)} anna at work\n")
    listed = subprocess.run(
        [require_program("ssh-keygen"), "-lf", path], capture_output=True, text=True, check=True
    )
    key = parse(path.read_text())
    assert isinstance(key, PublicKey)
    assert (key.algorithm, key.comment) == ("ssh-ed25519", "anna at work")
    assert key.fingerprint == listed.stdout.split()[1]


@pytest.mark.parametrize("point", [b"\x02" + P256_POINT[1:33], b"\x00"], ids=["compressed", "infinity"])
def test_an_ecdsa_point_in_another_form_is_unreadable(point):
    name = b"ecdsa-sha2-nistp256"
    blob = base64.b64encode(wire(name, b"nistp256", point)).decode()
    assert parse(f"{name.decode()} {blob}") is KeyFault.UNREADABLE
    assert parse(sk_line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", point)) is KeyFault.UNREADABLE


@pytest.mark.parametrize("bits", CURVES)
def test_an_ecdsa_key_is_taken(bits):
    key = parse(line(ec.generate_private_key(CURVES[bits])))
    assert isinstance(key, PublicKey)
    assert key.algorithm == f"ecdsa-sha2-nistp{bits}"


@pytest.mark.parametrize(
    "pasted",
    [
        sk_line("sk-ssh-ed25519@openssh.com", RAW_ED25519),
        sk_line("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", P256_POINT),
    ],
    ids=["sk-ed25519", "sk-ecdsa"],
)
def test_a_key_on_a_security_token_is_taken(pasted):
    key = parse(pasted)
    assert isinstance(key, PublicKey)
    assert key.comment == "token"


@pytest.mark.parametrize("bits", [1024, 2048])
def test_a_short_rsa_key_is_refused(bits):
    assert parse(line(rsa.generate_private_key(65537, bits))) is KeyFault.WEAK


def test_an_rsa_key_of_3072_bits_is_taken():
    assert isinstance(parse(line(rsa.generate_private_key(65537, 3072))), PublicKey)


@pytest.mark.filterwarnings("ignore:SSH DSA key support")
def test_a_dsa_key_is_of_a_type_that_is_not_taken():
    assert parse(line(dsa.generate_private_key(1024))) is KeyFault.ALGORITHM


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_private_key_is_refused_by_name(form):
    pasted = ED25519.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    assert parse(pasted) is KeyFault.PRIVATE


@pytest.mark.parametrize(
    "pasted",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nabc",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nabc",
        "PuTTY-User-Key-File-3: ssh-ed25519\nabc",
    ],
)
def test_private_keys_are_refused_by_name(pasted):
    assert parse(pasted) is KeyFault.PRIVATE


def test_key_type_must_match_its_line():
    assert parse(line(ED25519).replace("ssh-ed25519", "ssh-rsa", 1)) is KeyFault.UNREADABLE


@pytest.mark.parametrize(
    "options", ["no-pty", 'command="echo ssh-ed25519 x",from="10.0.0.0/8"', "cert-authority"]
)
def test_options_before_the_key_are_named(options):
    assert parse(f"{options} {line(ED25519)}") is KeyFault.OPTIONS


@pytest.mark.parametrize("lines", ["{0} a\n{0} b\n", "# mine\n{0}\n\nno-pty {0}", "{0}\n" * 500])
def test_several_keys_are_named(lines):
    assert parse(lines.format(line(ED25519))) is KeyFault.SEVERAL


def test_a_key_among_other_lines_is_unreadable():
    assert parse(f"something\n{line(ED25519)}") is KeyFault.UNREADABLE


@pytest.mark.parametrize(
    "around", ["\ufeff{}", "# of 2024\n{}\n", "\ufeff#\r\n\r\n  {} \r\n# end", "\n\n{}\n"]
)
def test_marks_blank_lines_and_comments(around):
    key = parse(around.format(f"{line(ED25519)} anna"))
    assert isinstance(key, PublicKey)
    assert key.comment == "anna"


@pytest.mark.parametrize(
    ("form", "fault"), [("RFC4716", KeyFault.SSH2), ("PKCS8", KeyFault.PKCS8), ("PEM", KeyFault.PEM)]
)
def test_other_forms_and_their_conversion(tmp_path, require_program, form, fault):
    """Another form is named with the command that converts it."""
    program, path = require_program("ssh-keygen"), tmp_path / "key.pub"
    given = line(rsa.generate_private_key(65537, 3072))
    path.write_text(given)
    other = subprocess.run(
        [program, "-e", "-m", form, "-f", path], capture_output=True, text=True, check=True
    )
    assert parse(other.stdout) is fault
    path.write_text(other.stdout)
    command = fault.value.rpartition(": ")[2].replace("FILE", str(path)).split()
    converted = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=True)
    assert parse(converted.stdout) == parse(given)


def test_a_certificate_is_named(tmp_path, require_program):
    program = require_program("ssh-keygen")
    for name in ("ca", "key"):
        subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    subprocess.run([program, "-q", "-s", tmp_path / "ca", "-I", "x", tmp_path / "key.pub"], check=True)
    assert parse((tmp_path / "key-cert.pub").read_text()) is KeyFault.CERTIFICATE


@pytest.mark.parametrize("pasted", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "x" * 20_000, "ssh-rsa \ud800"])
def test_what_is_no_key_is_unreadable(pasted):
    assert parse(pasted) is KeyFault.UNREADABLE


@given(
    st.sampled_from([*ALGORITHMS, "ssh-dss"]),
    st.lists(st.binary(max_size=80), max_size=5),
    st.binary(max_size=20),
)
def test_a_rubbish_body_never_raises(algorithm, parts, tail):
    blob = base64.b64encode(wire(algorithm.encode(), *parts) + tail).decode()
    assert isinstance(parse(f"{algorithm} {blob}"), PublicKey | KeyFault)


@given(st.data())
def test_a_damaged_key_never_raises(data):
    blob = bytearray(base64.b64decode(line(ED25519).split()[1]))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    cut = blob[: data.draw(st.integers(0, len(blob)))]
    assert isinstance(parse(f"ssh-ed25519 {base64.b64encode(cut).decode()}"), PublicKey | KeyFault)


@given(st.text(alphabet=st.characters(codec=None)))
def test_rubbish_never_raises(pasted):
    assert isinstance(parse(pasted), KeyFault)
    assert isinstance(parse("ssh-ed25519 " + pasted), KeyFault)
