"""The carriers: an SMTP server for e-mail, a command of the operator's choice for text messages.

Nothing of a message reaches a log: a failure is told by its kind alone, since what a carrier answers
may repeat the message.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Literal

import aiosmtplib

from data.rules.facts import Method
from data.rules.sending import Envelope
from data.storage.files import read_plain

_log = logging.getLogger("twofold.delivery")

LIMIT_SECONDS = 5.0
"""How long a person waits for a carrier before they are told to choose another method."""
_CA_BYTES = 10_000_000
Security = Literal["starttls", "tls", "none"]


class UndeliveredError(Exception):
    """The carrier did not take the message; its words are a kind of failure and nothing of the message."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """An SMTP server, and how it is spoken to."""

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    async def carry(self, envelope: Envelope) -> None:
        """Hand an e-mail over.

        Raises:
            UndeliveredError: when the server did not take it.
        """
        async with self._connected() as client:
            await client.send_message(self._message(envelope))

    async def probe(self) -> None:
        """Connect and sign in to the server, and send nothing.

        Raises:
            UndeliveredError: when that fails.
        """
        async with self._connected():
            pass

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        try:
            context = self._trusted() if self.security != "none" else None
            # Named, since looking the name of this host up would block the event loop.
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
                # Without a farewell: a server that is slow would keep the person waiting for its answer.
                client.close()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise UndeliveredError(type(error).__name__) from None

    def _trusted(self) -> ssl.SSLContext:
        if not self.ca_file:
            return ssl.create_default_context()
        certificates = read_plain(Path(self.ca_file), _CA_BYTES).decode("ascii", "ignore")
        return ssl.create_default_context(cadata=certificates)

    @property
    def _domain(self) -> str:
        return self.sender.rpartition("@")[2] or "localhost"

    def _message(self, envelope: Envelope) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = envelope.to
        message["Subject"] = envelope.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._domain)
        # RFC 3834 section 5: no answering machine is to answer this.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(envelope.text)
        return message


@dataclass(frozen=True, slots=True)
class Command:
    """A program that takes a text message: the number in its arguments, the text on its standard input."""

    arguments: Sequence[str]

    async def carry(self, envelope: Envelope) -> None:
        """Run the program, without a shell; what it writes is thrown away, whatever it is.

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
        except (OSError, ValueError) as error:
            raise UndeliveredError(type(error).__name__) from None
        try:
            await process.communicate(envelope.text.encode())
        finally:
            if process.returncode is None:
                # The group, so that nothing the program has started goes on with the message.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            raise UndeliveredError(f"exit status {process.returncode}")

    async def probe(self) -> None:
        """Look whether the program is there, and run nothing.

        Raises:
            UndeliveredError: when it is not.
        """
        if shutil.which(self.arguments[0]) is None:
            raise UndeliveredError(f"there is no program {self.arguments[0]}")


@dataclass(frozen=True, slots=True)
class Carriers:
    """What this installation can send with."""

    smtp: Smtp | None = None
    command: Command | None = None
    limit_seconds: float = LIMIT_SECONDS

    @property
    def methods(self) -> frozenset[Method]:
        """The methods that there is a carrier for."""
        known = {Method.EMAIL: self.smtp, Method.SMS: self.command}
        return frozenset(method for method, carrier in known.items() if carrier is not None)

    async def carry(self, envelope: Envelope) -> None:
        """Hand a message over within the limit of time.

        Raises:
            UndeliveredError: when its carrier did not take it, or is not set up.
        """
        carrier = self.smtp if envelope.method is Method.EMAIL else self.command
        if carrier is None:
            self._note(envelope, "not set up")
            raise UndeliveredError("not set up")
        try:
            async with asyncio.timeout(self.limit_seconds):
                await carrier.carry(envelope)
        except TimeoutError:
            self._note(envelope, "no answer in time")
            raise UndeliveredError("no answer in time") from None
        except UndeliveredError as error:
            self._note(envelope, str(error))
            raise

    async def probe(self, method: Method) -> str | None:
        """Return why a method's carrier could not send now, or None; nothing is sent."""
        carrier = self.smtp if method is Method.EMAIL else self.command
        if carrier is None:
            return "not set up"
        try:
            async with asyncio.timeout(self.limit_seconds):
                await carrier.probe()
        except TimeoutError:
            return "no answer in time"
        except UndeliveredError as error:
            return str(error)
        return None

    @staticmethod
    def _note(envelope: Envelope, kind: str) -> None:
        _log.warning("A message by %s was not taken: %s", envelope.method.label, kind)
