"""A real SMTP server on the loopback interface, and a certificate for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USER, SMTP_PASSWORD = "twofold", "the mail server's password"


@dataclass
class MailServer:
    """What arrived; `answer` is what it says to a message, `wait` how long it takes.

    `to_sender` and `to_recipient` are what it says to MAIL FROM and RCPT TO, `commands` what it was told.
    """

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 taken"
    wait: float = 0
    to_sender: str = "250 OK"
    to_recipient: str = "250 OK"
    commands: list[str] = field(default_factory=list)

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, name: str, answers: Any) -> Any:  # noqa: N802 - as below.
        self.commands.append(f"EHLO {name}")
        session.host_name = name
        return answers

    async def handle_MAIL(  # noqa: N802 - as below.
        self, _server: Any, _session: Any, envelope: Any, sender: str, _options: Any
    ) -> str:
        self.commands.append(f"MAIL FROM {sender}")
        if self.to_sender.startswith("250"):
            envelope.mail_from = sender
        return self.to_sender

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any) -> str:  # noqa: N802 - as below.
        self.commands.append(f"RCPT TO {to}")
        if self.to_recipient.startswith("250"):
            envelope.rcpt_tos.append(to)
        return self.to_recipient

    async def handle_RSET(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - as below.
        self.commands.append("RSET")
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - the name that aiosmtpd calls.
        await asyncio.sleep(self.wait)
        if self.answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
        return self.answer.replace("{content}", envelope.content.decode()[-40:].strip().replace("\r\n", " "))

    def check_login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        right = (data.login, data.password) == (USER.encode(), SMTP_PASSWORD.encode())
        return AuthResult(success=right, handled=right)

    def codes_to(self, address: str) -> list[str]:
        """Return the codes that were sent to an address."""
        words = [str(message.get_content()) for message in self.messages if message["To"] == address]
        return [said[:6] for said in words if " verification code, good for " in said]

    @property
    def words(self) -> str:
        """The words of the last message."""
        return str(self.messages[-1].get_content()) if self.messages else ""

    @property
    def code(self) -> str:
        """The code in the last message."""
        return self.words[:6]


@asynccontextmanager
async def mail_server(
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    auth: bool = False,
    smtputf8: bool = False,
) -> AsyncIterator[MailServer]:
    """Run a mail server; with `smtputf8` it takes addresses that are not ASCII (RFC 6531)."""
    mail = MailServer()

    def make() -> SMTP:
        return SMTP(
            mail,
            loop=asyncio.get_running_loop(),
            hostname="mail.test",
            enable_SMTPUTF8=smtputf8,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=auth,
            auth_require_tls=starttls is not None,
            authenticator=mail.check_login if auth else None,
        )

    server = await asyncio.get_running_loop().create_server(make, HOST, 0, ssl=tls)
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()


@asynccontextmanager
async def mail_server_apart() -> AsyncIterator[MailServer]:
    """Run a mail server in a thread of its own, which answers however busy the tests' loop is."""
    loop, manager = asyncio.new_event_loop(), mail_server()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(manager.__aenter__(), loop))
        ending = manager.__aexit__(None, None, None)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ending, loop))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for the loopback address; return the server's context and the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "mail.crt", folder / "mail.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key_file)
    return context, str(file)
