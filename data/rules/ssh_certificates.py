"""OpenSSH user certificates around a public key (OpenSSH's PROTOCOL.certkeys).

A certificate repeats the fields of the key's own wire form, so it fits every key type that sign-ins take.
"""

import base64
import struct
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from data.rules.public_keys import PublicKey
from data.rules.safe_text import safe
from data.rules.user_fields import TEXT_LIMIT

Sign = Callable[[bytes], bytes]
"""Signs with an Ed25519 key; returns the 64 bytes of the signature."""

SIGNED_BY: Final = "ssh-ed25519"
"""The key type of authorities."""
SERIAL_BITS: Final = 63
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""A certificate is valid from this long before it was issued: the clocks of hosts differ."""
_USER: Final = 1
"""SSH_CERT_TYPE_USER."""
_VERSION: Final = "-cert-v01"
_LENGTH: Final = 4
_FIELDS: Final = {
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    "ssh-rsa": 2,
}
"""How many fields of each key type follow its name."""


class Extension(StrEnum):
    """What a certificate permits; the value is what follows `permit-` in its extension's name."""

    PTY = "pty"
    PORT_FORWARDING = "port-forwarding"
    AGENT_FORWARDING = "agent-forwarding"
    X11_FORWARDING = "x11-forwarding"
    USER_RC = "user-rc"

    @property
    def wire_name(self) -> str:
        """The name in a certificate; OpenSSH writes X11 in capitals."""
        return f"permit-{self.value}".replace("x11", "X11")


def listed(extensions: AbstractSet[Extension]) -> str:
    """Return extensions as people type them."""
    return ", ".join(each.value for each in Extension if each in extensions) or "none"


def read_extensions(typed: str) -> frozenset[Extension] | None:
    """Read what `listed` writes; None if there is another word, or none."""
    names = {name.strip().lower() for name in typed.split(",") if name.strip()}
    known = {each.value: each for each in Extension}
    if not names or names - {"none"} - known.keys():
        return None
    return frozenset(known[name] for name in names - {"none"})


@dataclass(frozen=True, slots=True)
class Terms:
    """What a certificate says about its key; moments are whole seconds in it."""

    serial: int
    key_id: str
    principals: frozenset[str]
    valid_after: datetime
    valid_before: datetime
    extensions: frozenset[Extension]
    source_addresses: tuple[str, ...] = ()


def key_id(account: str, user: str, serial: int) -> str:
    """Return the key ID of a certificate, which hosts log: no terminal acts on anything in it."""
    return f"{safe(account, TEXT_LIMIT)}/{user}#{serial}"


def ssh_string(value: bytes | str) -> bytes:
    """Write a string with its length before it (RFC 4251 section 5)."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(raw)) + raw


def ed25519_blob(public: bytes) -> bytes:
    """Return the wire form of an Ed25519 public key (RFC 8709 section 4)."""
    return ssh_string(SIGNED_BY) + ssh_string(public)


def certify(key: PublicKey, terms: Terms, nonce: bytes, authority: bytes, sign: Sign) -> str:
    """Return the line of a certificate for this key, signed by the authority with this wire form.

    The comment is the key ID.

    Raises:
        ValueError: when there are no principals, with which OpenSSH would let the key in as anybody, or the
            key has other fields than its type.
    """
    if not terms.principals:
        raise ValueError("a certificate without principals")
    name = _certificate_type(key.algorithm)
    body = b"".join(
        (
            ssh_string(name),
            ssh_string(nonce),
            _fields(key),
            struct.pack(">QI", terms.serial, _USER),
            ssh_string(terms.key_id),
            ssh_string(b"".join(map(ssh_string, sorted(terms.principals)))),
            struct.pack(">QQ", int(terms.valid_after.timestamp()), int(terms.valid_before.timestamp())),
            ssh_string(_critical(terms.source_addresses)),
            ssh_string(_extensions(terms.extensions)),
            ssh_string(b""),
            ssh_string(authority),
        )
    )
    signature = ssh_string(SIGNED_BY) + ssh_string(sign(body))
    written = base64.b64encode(body + ssh_string(signature)).decode("ascii")
    return f"{name} {written} {terms.key_id}"


def _certificate_type(algorithm: str) -> str:
    name, at, domain = algorithm.partition("@")
    return f"{name}{_VERSION}{at or '@'}{domain or 'openssh.com'}"


def _fields(key: PublicKey) -> bytes:
    """Return the fields of a key after its type; what followed them would be read as the terms."""
    blob = base64.b64decode(key.blob, validate=True)
    after = ends = len(ssh_string(key.algorithm))
    for _ in range(_FIELDS[key.algorithm]):
        ends += _LENGTH + int.from_bytes(blob[ends : ends + _LENGTH])
    if ends != len(blob) or not blob.startswith(ssh_string(key.algorithm)):
        raise ValueError("a key with other fields than its type")
    return blob[after:]


def _critical(source_addresses: tuple[str, ...]) -> bytes:
    if not source_addresses:
        return b""
    return ssh_string("source-address") + ssh_string(ssh_string(",".join(source_addresses)))


def _extensions(permitted: frozenset[Extension]) -> bytes:
    """Write what is permitted in the order of the names, as the format requires."""
    return b"".join(
        ssh_string(name) + ssh_string(b"") for name in sorted(each.wire_name for each in permitted)
    )
