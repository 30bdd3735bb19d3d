"""OpenSSH public keys as people paste them: which are accepted, and their fingerprints."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

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
"""Keys of a user: each of them makes a sign-in with that name slower."""
KEY_LIMIT = 16_384
"""Characters of a pasted key; an RSA key of 16384 bits has 2,800."""
_WORDS = 2
"""A type and a blob; the rest is the comment."""


class KeyFault(StrEnum):
    """Why a pasted text is not accepted as a public key."""

    PRIVATE = "That is a private key; it was not stored. Paste the file ending in .pub instead."
    UNREADABLE = (
        "That is not an OpenSSH public key. It is one line that begins with a type such as ssh-ed25519."
    )
    SSH2 = "That key is in SSH2 format (RFC 4716). Use the output of: ssh-keygen -i -f FILE"
    PKCS8 = "That key is in PKCS #8 format. Use the output of: ssh-keygen -i -m PKCS8 -f FILE"
    PEM = "That key is in PEM format. Use the output of: ssh-keygen -i -m PEM -f FILE"
    OPTIONS = "That key has options before it. Start the line at the key's type, such as ssh-ed25519."
    SEVERAL = "That is more than one key. Add them one at a time."
    CERTIFICATE = "That is a certificate. Use the key it is for: the .pub file without -cert in its name."
    ALGORITHM = (
        "Keys of this type are not accepted. Use Ed25519, ECDSA, their sk- variants, or RSA with at "
        "least 3072 bits."
    )
    WEAK = f"That RSA key is too short. It must have at least {RSA_MIN_BITS} bits."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An accepted public key: `blob` is its wire form in base64 (RFC 4253 section 6.6)."""

    algorithm: str
    blob: str
    comment: str
    fingerprint: str


def parse(pasted: str) -> PublicKey | KeyFault:
    """Read a public key from an `authorized_keys` line without options.

    A byte order mark, blank lines and lines that begin with `#` may surround it.
    """
    lines = [line.strip() for line in pasted[:KEY_LIMIT].removeprefix("\ufeff").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(pasted) > KEY_LIMIT:
        several = sum(line.startswith(ALGORITHMS) for line in lines) > 1
        return KeyFault.SEVERAL if several else KeyFault.UNREADABLE
    for words, fault in _OTHER_FORMS.items():
        if words in pasted:
            return fault
    found = [(line, at) for line in lines if (at := _key_at(line.split())) is not None]
    if len(found) > 1:
        return KeyFault.SEVERAL
    if len(lines) != 1 or not found:
        return KeyFault.UNREADABLE
    line, at = found[0]
    return KeyFault.OPTIONS if at else _read(line.split())


def _key_at(words: list[str]) -> int | None:
    """Find the first word that is a key type followed by a key of that type."""
    return next((at for at, (word, blob) in enumerate(pairwise(words)) if _announces(_raw(blob), word)), None)


def _read(words: list[str]) -> PublicKey | KeyFault:
    algorithm, blob = words[:_WORDS]
    if algorithm.endswith(_CERTIFICATE):
        return KeyFault.CERTIFICATE
    if algorithm not in ALGORITHMS:
        return KeyFault.ALGORITHM
    return _judge(algorithm, blob) or PublicKey(
        algorithm,
        blob,
        " ".join(words[_WORDS:]),
        fingerprint(_raw(blob)),
    )


_OTHER_FORMS = {
    "PRIVATE KEY": KeyFault.PRIVATE,
    "PuTTY-User-Key-File": KeyFault.PRIVATE,
    "BEGIN SSH2 PUBLIC KEY": KeyFault.SSH2,
    "BEGIN RSA PUBLIC KEY": KeyFault.PEM,
    "BEGIN PUBLIC KEY": KeyFault.PKCS8,
}
_CERTIFICATE = "-cert-v01@openssh.com"


def too_many(held: int) -> str | None:
    """Return why a user who has this many keys cannot have another one, or None."""
    if held < MOST_KEYS:
        return None
    return f"A user can have at most {MOST_KEYS} keys. Remove an unused one first."


def _raw(blob: str) -> bytes:
    """Decode base64; anything else becomes empty."""
    try:
        return base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return b""


def fingerprint(raw: bytes) -> str:
    """Return the SHA-256 fingerprint of a key's wire form as OpenSSH writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode("ascii").rstrip("=")


def _announces(raw: bytes, algorithm: str) -> bool:
    name = algorithm.encode("utf-8", "replace")
    return raw.startswith(struct.pack(">I", len(name)) + name)


def _judge(algorithm: str, blob: str) -> KeyFault | None:
    try:
        key = load_ssh_public_key(f"{algorithm} {blob}".encode())
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):
        return KeyFault.UNREADABLE  # A compressed point is not implemented; sshd does not read one either.
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_MIN_BITS:
        return KeyFault.WEAK
    return None
