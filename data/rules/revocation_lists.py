"""OpenSSH's key revocation lists (its PROTOCOL.krl), as hosts read them from `RevokedKeys`."""

import struct
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from data.rules.ssh_certificates import ssh_string

_MAGIC: Final = b"SSHKRL\n\0"
_FORMAT: Final = 1
_CERTIFICATES: Final = 1
"""KRL_SECTION_CERTIFICATES: what follows is about the certificates of one authority."""
_SERIALS: Final = 0x20
"""KRL_SECTION_CERT_SERIAL_LIST. Random serials have no runs, for which the format has shorter sections."""


def revocation_list(withdrawn: Mapping[bytes, AbstractSet[int]], made_at: datetime) -> bytes:
    """Return the list of withdrawn serials, by the wire form of the authority's public key.

    A list without any is valid and revokes nothing. Its version is the second in which it was made.
    """
    second = int(made_at.timestamp())
    header = _MAGIC + struct.pack(">IQQQ", _FORMAT, second, second, 0) + ssh_string(b"") + ssh_string(b"")
    return header + b"".join(_section(key, serials) for key, serials in withdrawn.items() if serials)


def _section(authority: bytes, serials: AbstractSet[int]) -> bytes:
    listed = struct.pack(f">{len(serials)}Q", *sorted(serials))
    body = ssh_string(authority) + ssh_string(b"") + bytes([_SERIALS]) + ssh_string(listed)
    return bytes([_CERTIFICATES]) + ssh_string(body)
