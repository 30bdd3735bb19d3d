"""The algorithms that the server offers, all or only post-quantum ones, and the keys that it accepts."""

from dataclasses import dataclass
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


def taken_fingerprint(key: SSHKey | None, rsa_min_bits: int) -> str | None:
    """Return the fingerprint of a user's key; None if its type or size is not accepted."""
    if key is None or key.algorithm.decode("ascii") not in ALGORITHMS:
        return None
    public = key.pyca_key
    if isinstance(public, RSAPublicKey) and public.key_size < rsa_min_bits:
        return None
    return key.get_fingerprint()
