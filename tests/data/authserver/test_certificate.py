"""TLS: a certificate that is renewed while the server runs, and one that cannot be used."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from support.http_server import curl, http_server
from support.mail_server import certificate

from data.authserver import certificate as tested
from data.authserver.certificate import Certificate, CertificateError
from data.authserver.http_settings import HttpSettings, HttpSettingsError

pytestmark = pytest.mark.usefixtures("curl_program")


def make(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key in a folder."""
    folder.mkdir()
    certificate(folder)
    return folder / "mail.crt", folder / "mail.key"


async def served(port: int) -> bytes:
    """Return the certificate that a new connection is shown."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    _, writing = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    found = writing.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writing.close()
    return found


def in_der(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


@pytest.mark.feature("applications-tls")
@pytest.mark.only_on("sqlite")
async def test_renewed(world, tmp_path, monkeypatch, caplog):
    """New connections get the new certificate, also while its files do not fit each other for a moment."""
    monkeypatch.setattr(tested, "LOOK_SECONDS", 0.05)
    first, second = make(tmp_path / "first"), make(tmp_path / "second")
    used = tuple(tmp_path / name for name in ("server.crt", "server.key"))
    for source, target in zip(first, used, strict=True):
        shutil.copy(source, target)
    async with http_server(world.store, certificate=Certificate(*used)) as base:
        assert (await curl("--cacert", first[0], f"{base}/health")).json == {"status": "ok"}
        port = int(base.rpartition(":")[2])
        shutil.copy(second[0], used[0])
        async with asyncio.timeout(30):
            while "The former certificate stays in use" not in caplog.text:
                await asyncio.sleep(0.02)
        assert await served(port) == in_der(first[0])
        shutil.copy(second[1], used[1])
        async with asyncio.timeout(30):
            while await served(port) != in_der(second[0]):
                await asyncio.sleep(0.02)
        assert (await curl("--cacert", second[0], f"{base}/health")).json == {"status": "ok"}
        with pytest.raises(AssertionError, match="SSL"):
            await curl("--cacert", second[0], "--tlsv1.1", "--tls-max", "1.1", f"{base}/health")
    assert caplog.text.count("stays in use") == 1


@pytest.mark.feature("applications-tls")
def test_unusable(tmp_path):
    (good, key), (other, _) = make(tmp_path / "first"), make(tmp_path / "second")
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", key, "-out", encrypted],
        check=True,
        capture_output=True,
    )
    for files, words in (
        ((other, key), f"The certificate {other} is not for the key {key}."),
        ((key, good), f"The certificate {key} and key {good} cannot be read: they must be in PEM."),
        (
            (tmp_path / "none", key),
            f"The certificate {tmp_path / 'none'} and key {key} cannot be read: No such file or directory.",
        ),
        (
            (good, encrypted),
            f"The key {encrypted} is encrypted. Store it without a password, readable by this user only.",
        ),
    ):
        with pytest.raises(CertificateError) as refused:
            Certificate(*files)
        assert str(refused.value) == words


@pytest.mark.feature("applications-tls")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "portal.example", ""])
def test_without_tls_only_on_loopback(host):
    for loopback in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        HttpSettings(loopback, 80).check()
    HttpSettings(host, 80, Path("c"), Path("k")).check()
    if host:
        with pytest.raises(HttpSettingsError, match=r"Set certificate and key under \[http\]"):
            HttpSettings(host, 80).check()
        with pytest.raises(HttpSettingsError, match="TLS needs both files"):
            HttpSettings(host, 80, certificate=Path("c")).check()
