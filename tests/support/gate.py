"""Ben's commands by real `ssh`, all over one connection."""

import asyncio
import re

from support.authenticator_app import Phone
from support.installed_program import RECOVERY, Clinic
from support.pseudo_terminal import TerminalProgram


class Gate:
    """One connection of ben's, over which `ssh` runs each command."""

    def __init__(self, clinic: Clinic, key) -> None:
        options = {
            "StrictHostKeyChecking": "yes", "UserKnownHostsFile": clinic.folder / "known_hosts",
            "IdentitiesOnly": "yes", "IdentityFile": key, "ControlPath": clinic.folder / "cm",
        }  # fmt: skip
        given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self._ssh = [clinic.ssh, "-F", "none", *given, "-p", str(clinic.port)]

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        command = [*self._ssh, "ben@127.0.0.1", *words]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)

    async def open(self) -> None:
        """Sign in, and keep the connection."""
        command = [*self._ssh, "-M", "-N", "-f", "ben@127.0.0.1"]
        assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0

    async def close(self) -> None:
        await (await asyncio.create_subprocess_exec(*self._ssh, "-q", "-O", "exit", "gate")).wait()

    async def run(self, *words: str, given: str = "") -> tuple[int, str, str]:
        process = await self.start(*words)
        out, err = await process.communicate(given.encode())
        return process.returncode, out.decode(), err.decode()

    async def at_a_terminal(self, *words: str) -> TerminalProgram:
        return await TerminalProgram.start(
            [*self._ssh, "-t", "ben@127.0.0.1", *words],
            size=(40, 60),
            term="dumb",
            environment={"LANG": "C.UTF-8"},
        )


async def enrols_by_a_program(gate: Gate, phone: Phone) -> list[str]:
    """Read the address of the key, and answer line by line."""
    process = await gate.start("me", "enrol")
    shown = await process.stdout.readuntil(b"otpauth://")
    shown += await process.stdout.readline()
    uri = re.search(rb"otpauth://\S+", shown).group().decode()
    assert phone.scan(uri) == "Twofold:ben"
    assert (
        phone.secret == shown.decode().split("into your app:")[1].split("otpauth")[0].replace(" ", "").strip()
    )
    process.stdin.write(f"{phone.wrong_code()}\n{await phone.new_code()}\ny\n".encode())
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"Wrong code." in err
    assert b"You are signed in." in err
    return RECOVERY.findall(out.decode())
