"""Fixtures of the certificates' tests: an account that issues them, and keys of every type."""

import base64

import asyncssh
import pytest
from support.database import OPERATOR, World

from data.operations.certificates import authorities
from data.operations.certificates.authorities import AuthoritiesView
from data.rules.public_keys import ALGORITHMS
from data.rules.ssh_certificates import ssh_string
from data.storage import models


@pytest.fixture
def authority(world: World) -> AuthoritiesView:
    """Have the account issue certificates for eight hours."""
    models.Account.update(certificate_hours=8).execute()
    made = world.run(authorities.init_authority, OPERATOR)
    assert isinstance(made, AuthoritiesView), made
    return made


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """A public key of every type that sign-ins take, by type."""
    made = {name: _made(name) for name in ALGORITHMS if not name.startswith("sk-")}
    ed25519, ecdsa = made["ssh-ed25519"], made["ecdsa-sha2-nistp256"]
    return made | {
        "sk-ssh-ed25519@openssh.com": _with_token(ed25519, "sk-ssh-ed25519@openssh.com"),
        "sk-ecdsa-sha2-nistp256@openssh.com": _with_token(ecdsa, "sk-ecdsa-sha2-nistp256@openssh.com"),
    }


def _made(algorithm: str) -> str:
    options = {"key_size": 3072} if algorithm == "ssh-rsa" else {}
    return asyncssh.generate_private_key(algorithm, **options).export_public_key().decode().strip()


def _with_token(line: str, algorithm: str) -> str:
    """Return the same key as if a token held it: its fields, then the application."""
    name, blob = line.split()[:2]
    fields = base64.b64decode(blob).removeprefix(ssh_string(name))
    raw = ssh_string(algorithm) + fields + ssh_string("ssh:")
    return f"{algorithm} {base64.b64encode(raw).decode()}"
