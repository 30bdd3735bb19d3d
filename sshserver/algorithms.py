"""The algorithms that the server offers, all or only post-quantum ones, and the keys that it accepts."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from asyncssh.kex import get_kex_algs
from asyncssh.public_key import SSHKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from data.rules.public_keys import ALGORITHMS

_POST_QUANTUM: Final = "mlkem768x25519-sha256"
_CLASSICAL: Final = ("curve25519-sha256", "curve25519-sha256@libssh.org")
_LOGIN_SIGNATURES: Final = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_GCM: Final = frozenset({b"aes128-gcm@openssh.com", b"aes256-gcm@openssh.com"})
_GCM_SINCE: Final = {
    b"OpenSSH": (6, 2),
    b"PuTTY_Release": (0, 78),
    b"libssh": (0, 9),
    b"paramiko": (3, 5),
    b"AsyncSSH": (2, 0),
}
"""Versions from which AES-GCM is surely there; each sends its list without waiting for the server's."""
_SOFTWARE: Final = re.compile(rb"SSH-2\.0-(\w+?)(?:_for_Windows)?_(\d+)\.(\d+)")
_CPU_FLAGS: Final = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
_MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")


class AlgorithmsError(RuntimeError):
    """The requested algorithms are not available here."""


@dataclass(frozen=True, slots=True)
class Algorithms:
    """The algorithms to offer, in an order that dropbear can handle."""

    key_exchanges: tuple[str, ...] = (*_CLASSICAL, _POST_QUANTUM)
    ciphers: tuple[str, ...] = (
        "chacha20-poly1305@openssh.com",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    )

    def options(self) -> dict[str, Any]:
        """Return asyncssh's options, without what cryptography's backend lacks.

        Raises:
            AlgorithmsError: when no key exchange is left.
        """
        available = {name.decode("ascii") for name in get_kex_algs()}
        exchanges = [name for name in self.key_exchanges if name in available]
        if not exchanges:
            raise AlgorithmsError(
                f"strict_algorithms needs {_POST_QUANTUM}, which the installed cryptography package lacks."
                " Install a newer one, or set strict_algorithms = false"
            )
        return {
            "kex_algs": exchanges,
            "encryption_algs": self.ciphers,
            "mac_algs": _MACS,
            "compression_algs": None,
            "signature_algs": _LOGIN_SIGNATURES,
        }


STRICT: Final = Algorithms(
    key_exchanges=(_POST_QUANTUM,), ciphers=("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr")
)
"""Safe against later decryption by a quantum computer and against Terrapin (CVE-2023-48795)."""


def has_gcm(version: bytes) -> bool:
    """Return whether a client has AES-GCM by its version string (RFC 4253 section 4.2)."""
    said = _SOFTWARE.match(version)
    return said is not None and (int(said[2]), int(said[3])) >= _GCM_SINCE.get(said[1], (math.inf,))


def narrow_ciphers(ours: Sequence[bytes], theirs: frozenset[bytes] | None) -> Sequence[bytes]:
    """Return the AES-GCM ciphers of ours, if the client takes one; it takes any if `theirs` is unknown.

    The client's order decides among what both list (RFC 4253 section 7.1), so the slower ones must not be
    listed.
    """
    fast = [name for name in ours if name in _GCM]
    return fast if fast and (theirs is None or not theirs.isdisjoint(fast)) else ours


@cache
def processor_has_aes(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether AES and the multiplication of GCM are instructions here; unknown counts as no."""
    try:
        flags = _CPU_FLAGS.search(cpuinfo.read_text())
    except OSError:
        return False
    found = set(flags[1].split()) if flags else set()
    return "aes" in found and bool(found & {"pclmulqdq", "pmull"})


def taken_fingerprint(key: SSHKey | None, rsa_min_bits: int) -> str | None:
    """Return the fingerprint of a user's key; None if its type or size is not accepted."""
    if key is None or key.algorithm.decode("ascii") not in ALGORITHMS:
        return None
    public = key.pyca_key
    if isinstance(public, RSAPublicKey) and public.key_size < rsa_min_bits:
        return None
    return key.get_fingerprint()
