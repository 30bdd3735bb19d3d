"""The server's host key, an Ed25519 key: its fingerprint and its line for known_hosts."""

from typing import Final

import asyncssh
from asyncssh.public_key import SSHKey

_STANDARD_PORT: Final = 22


class HostKeyError(ValueError):
    """The input is not an unencrypted Ed25519 private key."""


def generate() -> bytes:
    """Return a new host key in OpenSSH's private key format."""
    return asyncssh.generate_private_key("ssh-ed25519", comment="twofold").export_private_key("openssh")


def load(private_key: bytes) -> SSHKey:
    """Read a host key.

    Raises:
        HostKeyError: when it is not an unencrypted Ed25519 private key.
    """
    try:
        key = asyncssh.import_private_key(private_key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise HostKeyError("The host key is not an unencrypted Ed25519 key.") from None
    if key.algorithm != b"ssh-ed25519":
        raise HostKeyError("The host key is not an Ed25519 key.")
    return key


def fingerprint(key: SSHKey) -> str:
    """Return the fingerprint as OpenSSH shows it: `SHA256:...`."""
    return key.get_fingerprint()


def known_hosts_line(key: SSHKey, host: str, port: int) -> str:
    """Return the line that makes clients trust this server (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    name = host if port == _STANDARD_PORT else f"[{host}]:{port}"
    kind, blob = key.export_public_key("openssh").decode("ascii").split()[:2]
    return f"{name} {kind} {blob}"
