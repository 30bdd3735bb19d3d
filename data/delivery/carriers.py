"""The carriers: an SMTP server for e-mail, a command of the operator's choice for text messages.

No part of a message reaches a log: a failure is reported by its kind only, because a carrier's answer may
repeat the message. The answer is shown only for a test, which holds no secret.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Literal

import aiosmtplib

from data.rules.domain_types import Method
from data.rules.sent_codes import Envelope
from data.rules.user_fields import ascii_domain, ascii_email
from data.storage.files import read_plain

_log = logging.getLogger("twofold.delivery")

LIMIT_SECONDS = 5.0
"""How long a user waits for a carrier before being told to choose another method."""
_CA_BYTES = 10_000_000
Security = Literal["starttls", "tls", "none"]


class UndeliveredError(Exception):
    """The carrier did not accept the message; the error names a kind of failure and no part of the message.

    `answer` is the carrier's own text. It may repeat the message.
    """

    def __init__(self, kind: str, answer: str = "") -> None:
        super().__init__(kind)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Trial:
    """How a carrier answered a probe or a test message; `words` name the carrier, `answer` is its own text.

    Both hold foreign strings.
    """

    taken: bool
    words: str
    answer: str = ""

    @property
    def sentence(self) -> str:
        """The words, and the carrier's own answer if it gave one."""
        return f"{self.words}: {self.answer}" if self.answer else self.words


_COMMANDS: dict[type[aiosmtplib.SMTPException], str] = {
    aiosmtplib.SMTPConnectResponseError: "the connection",
    aiosmtplib.SMTPHeloError: "EHLO",
    aiosmtplib.SMTPAuthenticationError: "AUTH",
    aiosmtplib.SMTPSenderRefused: "MAIL FROM",
    aiosmtplib.SMTPRecipientRefused: "RCPT TO",
    aiosmtplib.SMTPDataError: "DATA",
}
"""The command that a server answered with an error (RFC 5321)."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """An SMTP server, and how to connect to it."""

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    @property
    def name(self) -> str:
        """The host and the port."""
        return f"{self.host}:{self.port}"

    async def carry(self, envelope: Envelope) -> str:
        """Deliver an e-mail; return the server's answer.

        Raises:
            UndeliveredError: when the server did not accept it.
        """
        async with self._connected() as client:
            _, answer = await client.send_message(self._message(envelope))
        return answer

    async def probe(self, to: str | None) -> str:
        """Go as far as a delivery to this address would, short of DATA; return the server's last answer.

        Raises:
            UndeliveredError: when the server would not accept a message.
        """
        sender, recipient = ascii_email(self.sender), ascii_email(to) if to else ""
        needs_utf8 = not (sender + recipient).isascii()
        async with self._connected() as client:
            await client.ehlo()
            if needs_utf8 and not client.supports_extension("smtputf8"):
                raise aiosmtplib.SMTPNotSupported("SMTPUTF8 is not supported by this server")
            options, encoding = (["SMTPUTF8"], "utf-8") if needs_utf8 else ([], "ascii")
            answer = await client.mail(sender, options=options, encoding=encoding)
            if recipient:
                answer = await client.rcpt(recipient, encoding=encoding)
            await client.rset()
        return f"{answer.code} {answer.message}"

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        try:
            context = self._trusted() if self.security != "none" else None
            # Named, because looking up the name of this host would block the event loop.
            client = aiosmtplib.SMTP(
                hostname=self.host,
                port=self.port,
                local_hostname=self._domain,
                username=self.user or None,
                password=self.password or None,
                use_tls=self.security == "tls",
                start_tls=self.security == "starttls",
                tls_context=context,
                timeout=LIMIT_SECONDS,
            )
            try:
                await client.connect()
                yield client
            finally:
                # Without QUIT: a slow server would keep the user waiting for its answer.
                client.close()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._undelivered(error) from None

    def _undelivered(self, error: Exception) -> UndeliveredError:
        """Describe what went wrong, without any part of the message."""
        match error:
            case aiosmtplib.SMTPRecipientsRefused():
                return self._undelivered(error.recipients[0])
            case aiosmtplib.SMTPResponseException():
                told = _COMMANDS.get(type(error), "a command")
                return UndeliveredError(f"{self.name} answered {error.code} to {told}", error.message)
            case aiosmtplib.SMTPConnectError(__cause__=ConnectionRefusedError()):
                return UndeliveredError(f"{self.name} refused the connection")
            case aiosmtplib.SMTPException():
                return UndeliveredError(f"{self.name}: {error.message}")
            case OSError() if error.strerror:
                return UndeliveredError(f"{self.name}: {error.strerror}")
            case _:
                return UndeliveredError(f"{self.name}: {type(error).__name__}")

    def _trusted(self) -> ssl.SSLContext:
        if not self.ca_file:
            return ssl.create_default_context()
        certificates = read_plain(Path(self.ca_file), _CA_BYTES).decode("ascii", "ignore")
        return ssl.create_default_context(cadata=certificates)

    @property
    def _domain(self) -> str:
        return ascii_domain(self.sender.rpartition("@")[2]) or "localhost"

    def _message(self, envelope: Envelope) -> EmailMessage:
        message = EmailMessage()
        message["From"] = ascii_email(self.sender)
        message["To"] = ascii_email(envelope.to)
        message["Subject"] = envelope.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._domain)
        # RFC 3834 section 5: no automatic responder should answer this.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(envelope.text)
        return message


@dataclass(frozen=True, slots=True)
class Command:
    """A program that takes a text message: the number in its arguments, the text on its standard input."""

    arguments: Sequence[str]

    @property
    def name(self) -> str:
        """The program."""
        return self.arguments[0]

    async def carry(self, envelope: Envelope) -> str:
        """Run the program, without a shell; its output is discarded, and an empty answer is returned.

        Raises:
            UndeliveredError: when it could not be started, or ended with another status than 0.
        """
        arguments = [argument.replace("{to}", envelope.to) for argument in self.arguments]
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise UndeliveredError(f"{self.name}: {error.strerror}") from None
        except ValueError as error:
            raise UndeliveredError(f"{self.name}: {type(error).__name__}") from None
        try:
            await process.communicate(envelope.text.encode())
        finally:
            if process.returncode is None:
                # The whole group, so that no child of the program goes on with the message.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            raise UndeliveredError(f"{self.name} exited with status {process.returncode}")
        return ""

    async def probe(self, _to: str | None) -> str:
        """Check that the program exists, without running it.

        Raises:
            UndeliveredError: when it does not exist.
        """
        if shutil.which(self.arguments[0]) is None:
            raise UndeliveredError(f"the program {self.name} was not found")
        return ""


@dataclass(frozen=True, slots=True)
class Carriers:
    """The carriers that this installation can send with."""

    smtp: Smtp | None = None
    command: Command | None = None
    limit_seconds: float = LIMIT_SECONDS

    @property
    def methods(self) -> frozenset[Method]:
        """The methods that have a carrier."""
        known = {Method.EMAIL: self.smtp, Method.SMS: self.command}
        return frozenset(method for method, carrier in known.items() if carrier is not None)

    async def carry(self, envelope: Envelope) -> None:
        """Deliver a message within the time limit.

        Raises:
            UndeliveredError: when its carrier did not accept it, or is not set up.
        """
        try:
            await self._in_time(envelope.method, lambda carrier: carrier.carry(envelope))
        except UndeliveredError as error:
            self._note(envelope, str(error))
            raise

    async def test(self, envelope: Envelope) -> Trial:
        """Deliver a message without a secret; return how its carrier answered."""
        return await self._tried(envelope.method, lambda carrier: carrier.carry(envelope), "accepted it")

    async def probe(self, method: Method, to: str | None = None) -> Trial:
        """Go as far as a delivery by this method would, and send nothing; return how its carrier answered."""
        done = "would accept it" if method is Method.EMAIL else "was found"
        return await self._tried(method, lambda carrier: carrier.probe(to), done)

    async def _tried(
        self, method: Method, work: Callable[[Smtp | Command], Awaitable[str]], done: str
    ) -> Trial:
        try:
            name, answer = await self._in_time(method, work)
        except UndeliveredError as error:
            return Trial(False, str(error), error.answer)
        return Trial(True, f"{name} {done}", answer)

    async def _in_time(
        self, method: Method, work: Callable[[Smtp | Command], Awaitable[str]]
    ) -> tuple[str, str]:
        """Run work with a method's carrier within the time limit; return its name and its answer."""
        carrier = self.smtp if method is Method.EMAIL else self.command
        if carrier is None:
            raise UndeliveredError("not set up")
        try:
            async with asyncio.timeout(self.limit_seconds):
                return carrier.name, await work(carrier)
        except TimeoutError:
            raise UndeliveredError(f"{carrier.name}: no answer in time") from None

    @staticmethod
    def _note(envelope: Envelope, kind: str) -> None:
        _log.warning("A message by %s was not accepted: %s", envelope.method.label, kind)
