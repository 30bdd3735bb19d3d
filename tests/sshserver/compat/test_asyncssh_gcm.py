"""Packets that are sealed with fewer copies are those of asyncssh, and no altered one is taken."""

import pytest
from asyncssh import encryption
from asyncssh.crypto import cipher

from sshserver.compat import asyncssh_gcm

KEY, HEADER = bytes(range(16)), bytes((0, 0, 0, 32))
IV = bytes(range(4)) + b"\xff" * 7 + b"\xfe"
"""Its counter goes round after the second packet."""


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> encryption.GCMEncryption:
    monkeypatch.setattr(encryption, "GCMCipher", cipher.GCMCipher)
    asyncssh_gcm.install()
    made = encryption.GCMEncryption.new("aes128-gcm", KEY, IV)
    assert type(made._cipher) is not cipher.GCMCipher
    return made


def test_each_packet_is_the_one_that_asyncssh_sends(ours: encryption.GCMEncryption) -> None:
    theirs = cipher.GCMCipher("aes128-gcm", KEY, IV)
    for number in range(3):
        packet = bytes([number]) * 32
        assert b"".join(ours.encrypt_packet(number, HEADER, packet)) == b"".join(
            theirs.encrypt_and_sign(HEADER, packet)
        )


@pytest.mark.parametrize("altered", [0, 4, 36, 51])
def test_an_altered_packet_is_refused_and_the_next_one_is_read(
    ours: encryption.GCMEncryption, altered: int
) -> None:
    theirs = cipher.GCMCipher("aes128-gcm", KEY, IV)
    for number in range(2):
        sent = bytearray(b"".join(theirs.encrypt_and_sign(HEADER, bytes(32))))
        sent[altered] ^= 1 - number
        first, rest, mac = bytes(sent[:16]), bytes(sent[16:-16]), bytes(sent[-16:])
        assert ours.decrypt_packet(number, first, rest, 4, mac) == (bytes(32) if number else None)
