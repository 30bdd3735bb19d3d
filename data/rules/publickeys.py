"""OpenSSH public keys as people paste them: which are taken, and their fingerprints."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

RSA_MIN_BITS = 3072
ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
MOST_KEYS = 50
"""Keys of a user: each of them costs whoever names that user at a sign-in."""
KEY_LIMIT = 16_384
"""Characters of a pasted key; an RSA key of 16384 bits has 2,800."""
_WORDS = 2
"""A type and a blob; what follows is the comment."""


class KeyFault(StrEnum):
    """Why a pasted text is not taken as a public key."""

    PRIVATE = "That is a private key; it was not stored. Paste the file ending in .pub instead."
    UNREADABLE = (
        "That is not an OpenSSH public key. It is one line that begins with a type such as ssh-ed25519."
    )
    ALGORITHM = (
        "Keys of this type are not taken. Use Ed25519, ECDSA, their sk- forms, or RSA of 3072 bits or more."
    )
    WEAK = f"That RSA key is too short: {RSA_MIN_BITS} bits or more are needed."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is taken: `blob` is its wire form in base64 (RFC 4253 section 6.6)."""

    algorithm: str
    blob: str
    comment: str
    fingerprint: str


def parse(pasted: str) -> PublicKey | KeyFault:
    """Read a public key in the form of an `authorized_keys` line without options."""
    if len(pasted) > KEY_LIMIT:
        return KeyFault.UNREADABLE
    if "PRIVATE KEY" in pasted or "PuTTY-User-Key-File" in pasted:
        return KeyFault.PRIVATE
    words = pasted.split()
    if len(words) < _WORDS or len(pasted.strip().splitlines()) > 1:
        return KeyFault.UNREADABLE
    algorithm, blob = words[0], words[1]
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return KeyFault.UNREADABLE
    if algorithm not in ALGORITHMS:
        return KeyFault.ALGORITHM if _announces(raw, algorithm) else KeyFault.UNREADABLE
    return _judge(algorithm, blob, raw) or PublicKey(
        algorithm,
        blob,
        " ".join(words[_WORDS:]),
        fingerprint(raw),
    )


def fingerprint(raw: bytes) -> str:
    """Return the SHA-256 fingerprint of a key's wire form as OpenSSH writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode("ascii").rstrip("=")


def _announces(raw: bytes, algorithm: str) -> bool:
    name = algorithm.encode("utf-8", "replace")
    return raw.startswith(struct.pack(">I", len(name)) + name)


def _judge(algorithm: str, blob: str, raw: bytes) -> KeyFault | None:
    if not _announces(raw, algorithm):
        return KeyFault.UNREADABLE
    try:
        key = load_ssh_public_key(f"{algorithm} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm):
        return KeyFault.UNREADABLE
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_MIN_BITS:
        return KeyFault.WEAK
    return None
