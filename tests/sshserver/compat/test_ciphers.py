"""Which ciphers a client is offered: AES-GCM alone if it has that, and what it needs otherwise."""

import asyncio

import asyncssh
import pytest
from asyncssh.crypto import pq
from asyncssh.packet import Byte, NameList, SSHPacket
from support.fake_backend import CODE, FakeBackend
from support.ssh_server import HOST, connect, running_server

from sshserver.algorithms import STRICT, Algorithms, has_gcm, processor_has_aes
from sshserver.compat import asyncssh_shim

KEY = asyncssh.generate_private_key("ssh-ed25519")
CHACHA, CTR = "chacha20-poly1305@openssh.com", "aes256-ctr"
ALL = list(Algorithms().ciphers)
GCM = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]


@pytest.fixture(autouse=True)
def aes(monkeypatch):
    """The processor has AES, on whichever this runs."""
    monkeypatch.setattr(asyncssh_shim, "processor_has_aes", lambda: True)


@pytest.mark.parametrize(
    ("software", "has"),
    [
        ("OpenSSH_9.2p1 Debian-2", True),
        ("OpenSSH_10.0", True),
        ("OpenSSH_6.2", True),
        ("OpenSSH_6.1p1", False),
        ("OpenSSH_for_Windows_8.1", True),
        ("PuTTY_Release_0.78", True),
        ("PuTTY_Release_0.77", False),
        ("libssh_0.9.6", True),
        ("libssh_0.7.3", False),
        ("paramiko_3.5.0", True),
        ("paramiko_3.4.1", False),
        ("AsyncSSH_2.24.1", True),
        ("dropbear_2022.83", False),
        ("Go", False),
    ],
)
def test_what_has_gcm(software, has):
    assert has_gcm(f"SSH-2.0-{software}".encode()) is has


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("flags\t\t: fpu aes pclmulqdq\n", True),
        ("Features\t: fp asimd aes pmull sha1\n", True),
        ("flags\t\t: fpu vaes\nmodel name : aes pclmulqdq\n", False),
        ("flags\t\t: fpu aes\n", False),
        ("", False),
        (None, False),
    ],
)
def test_what_the_processor_has(tmp_path, cpuinfo, has):
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    assert processor_has_aes(file) is has


async def offered(port: int, software: str, takes: list[str] | None) -> list[str]:
    """Return what the server lists for a client of a version that sends its own list first, or waits."""
    reader, writer = await asyncio.open_connection(HOST, port)
    await reader.readline()
    writer.write(f"SSH-2.0-{software}\r\n".encode())
    if takes is not None:
        ciphers = NameList([name.encode() for name in takes])
        payload = Byte(20) + bytes(16) + NameList([b"curve25519-sha256"]) + NameList([b"ssh-ed25519"])
        payload += ciphers + ciphers + 2 * NameList([b"hmac-sha2-256"]) + 2 * NameList([b"none"])
        payload += 2 * NameList([]) + bytes(5)
        padding = 8 - (len(payload) + 5) % 8 + 8
        writer.write((len(payload) + padding + 1).to_bytes(4) + Byte(padding) + payload + bytes(padding))
    length = int.from_bytes(await reader.readexactly(4))
    packet = SSHPacket((await reader.readexactly(length))[18:])
    _exchanges, _keys, received, sent = (packet.get_namelist() for _ in range(4))
    writer.close()
    assert received == sent
    return [name.decode() for name in received]


@pytest.mark.parametrize(
    ("software", "takes", "expected"),
    [
        ("OpenSSH_9.2", ALL, GCM),
        ("OpenSSH_9.2", None, GCM),
        ("OpenSSH_9.2", [CHACHA, CTR], ALL),
        ("OpenSSH_6.1", ALL, ALL),
        ("dropbear_2022.83", [CHACHA, CTR], ALL),
        ("dropbear_2022.83", None, ALL),
    ],
    ids=["has it", "waits", "was told otherwise", "too old", "dropbear", "dropbear, which waits"],
)
async def test_what_is_offered(software, takes, expected):
    async with running_server(FakeBackend()) as running:
        assert await offered(running.port, software, takes) == expected


async def test_what_the_operator_set_is_kept():
    """No cipher is offered that the settings leave out, and without AES-GCM all of theirs are."""
    async with running_server(FakeBackend(), algorithms=Algorithms(ciphers=(CHACHA, CTR))) as running:
        assert await offered(running.port, "OpenSSH_9.2", ALL) == [CHACHA, CTR]
    async with running_server(FakeBackend(), algorithms=STRICT) as running:
        assert await offered(running.port, "OpenSSH_9.2", ALL) == GCM[::-1]


async def test_without_aes_all_is_offered(monkeypatch):
    monkeypatch.setattr(asyncssh_shim, "processor_has_aes", lambda: False)
    async with running_server(FakeBackend()) as running:
        assert await offered(running.port, "OpenSSH_9.2", ALL) == ALL


@pytest.mark.parametrize("chosen", [ALL, [CHACHA], [CTR]], ids=["GCM", "chacha20", "CTR"])
async def test_the_cipher_stays_when_keys_are_exchanged_again(chosen):
    """Each client signs in and works on with what it takes, through another key exchange."""
    async with running_server(FakeBackend([KEY])) as running:
        options = {"encryption_algs": chosen, "rekey_bytes": 4096}
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY], **options)
        for _ in range(200):
            await connection.run("exit", check=False)
        cipher = connection.get_extra_info("send_cipher")
        assert cipher == connection.get_extra_info("recv_cipher")
        assert cipher in (GCM if chosen is ALL else chosen)
        connection.close()
        await connection.wait_closed()


async def test_a_server_makes_no_key_pair_that_it_does_not_need(monkeypatch):
    """With ML-KEM only the client makes a pair: one for each connection."""
    made = []
    private, public = pq._pyca_pq_alg_classes[b"mlkem768"]

    class Counted:
        @staticmethod
        def generate():
            made.append(1)
            return private.generate()

    monkeypatch.setattr(pq, "_pyca_pq_alg_classes", {b"mlkem768": (Counted, public)})
    async with running_server(FakeBackend([KEY])) as running:
        options = {"kex_algs": ["mlkem768x25519-sha256"]}
        connection, _ = await connect(running.port, "alice", [CODE], keys=[KEY], **options)
        connection.close()
        await connection.wait_closed()
    assert len(made) == 1
