"""An organisation of twenty with a mail server and a gateway, and how its people come by their codes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from asyncssh.public_key import SSHKey
from support.asyncssh_terminal import Answers, SshTerminal
from support.authenticator_app import STEP, Phone
from support.installed_program import PROGRAM, Clinic
from support.mail_server import HOST, MailServer, mail_server_apart
from support.pseudo_terminal import PATIENCE
from support.sms_gateway import Gateway, running_gateway

AT_ONCE = 3
"""How many do something at the same time: enough to be in each other's way, and few enough to be quick."""
BY_APP = [f"app{number}" for number in range(1, 9)]
BY_EMAIL = [f"mail{number}" for number in range(1, 6)]
BY_TEXT = [f"text{number}" for number in range(1, 3)]
BY_SENDING = ["sender1", "sender2"]
MEMBERS = [*BY_APP, *BY_EMAIL, *BY_TEXT, *BY_SENDING]
PROMPTS = {
    "app": "Verification code: ",
    "mail": "Verification code (e: e-mail): ",
    "text": "Verification code (s: text message): ",
    "sender": "Verification code (s: text message): ",
}
SIGNED_IN = {
    "app": "key and code",
    "mail": "key and e-mail code",
    "text": "key and text message code",
    "sender": "key and text message code",
}
PENDING = "Pending setup on next login"
NOT_SENT = "could not be sent"
"""What the server says when a carrier took more than five seconds, as on a very busy machine."""


def kind_of(name: str) -> str:
    """Say by which method a member gets codes."""
    return name.rstrip("0123456789")


@dataclass
class Member:
    """Somebody with an app, or who is sent codes; all but cleo have a key and use asyncssh's client."""

    name: str
    keys: list[SSHKey]
    phone: Phone
    number: str
    typed: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.name}@clinic.example"


@dataclass
class Organisation:
    """The clinic with its mail server, its gateway, and its people."""

    clinic: Clinic
    mail: MailServer
    gateway: Gateway
    members: dict[str, Member]
    cleo: Member

    async def open(self, member: Member) -> SshTerminal:
        """Sign a member in by key, and by a code where one is asked for; open the app."""
        return await SshTerminal.open(self.clinic.port, member.name, member.keys, self.answers_of(member))

    def answers_of(self, member: Member) -> Answers:
        """Return how a member answers the question for a code."""

        async def answer(_prompt: str, told: str) -> str:
            if NOT_SENT in told:
                return "e" if member.name in BY_EMAIL else "s"
            return await self.code_of(member)

        return answer

    async def code_of(self, member: Member) -> str:
        """Have a member look up the next code, wherever theirs come from."""
        if member.name in BY_APP:
            return await member.phone.new_code()
        async with asyncio.timeout(PATIENCE):
            while not (fresh := [sent for sent in self.codes_sent_to(member) if sent not in member.typed]):
                await asyncio.sleep(0.1)
        member.typed += fresh
        return fresh[-1]

    def codes_sent_to(self, member: Member) -> list[str]:
        """Return what a member was sent, by either way."""
        return [*self.mail.codes_to(member.address), *self.gateway.codes_to(member.number)]

    async def each(self, act: Callable[[Member], Coroutine[Any, Any, None]], names: list[str]) -> None:
        """Have many do something, a few at a time."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with turns:
                await act(self.members[name])

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))

    def settings(self) -> str:
        """Write the settings of an installation that sends codes and logs all there is to log."""
        command = ", ".join(f'"{word}"' for word in self.gateway.send_command)
        return (
            f'[smtp]\nhost = "{HOST}"\nport = {self.mail.port}\nsecurity = "none"\n'
            f'from = "twofold@clinic.example"\n[sms]\nsend_command = [{command}]\n'
            'number = "+49 30 1234567"\n[log]\nlevel = "debug"\n'
            "[passwords]\nargon2_passes = 1\nargon2_memory_kib = 8192\n"
        )


def a_phone(clinic: Clinic) -> Phone:
    """Make a phone for someone who types slowly, as on a busy machine."""
    return Phone(clinic.oathtool, typing_seconds=STEP)


@asynccontextmanager
async def organised(clinic: Clinic, smsd: str, inject: str) -> AsyncIterator[Organisation]:
    """Run the mail server and the gateway, and give everybody a phone and most of them a key."""
    members = {
        name: Member(name, [asyncssh.generate_private_key("ssh-ed25519")], a_phone(clinic), number)
        for name, number in ((name, f"+4917012347{place:02}") for place, name in enumerate(MEMBERS, 1))
    }
    cleo = Member("cleo", [], a_phone(clinic), "+491701234799")
    hook = f"{PROGRAM} --home {clinic.home} sms received"
    async with (
        mail_server_apart() as mail,
        running_gateway(smsd, inject, clinic.folder / "gammu", hook) as gateway,
    ):
        yield Organisation(clinic, mail, gateway, members, cleo)
