"""`me` by real `ssh`: everything that is one's own, on one connection, from pipes and at a terminal."""

import asyncio
import json
import re

import pytest
from support.authenticator_app import Phone
from support.installed_program import RECOVERY, Clinic, qr_code
from support.pseudo_terminal import TerminalProgram

PASSWORD = "seven quiet marble stairs"


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


@pytest.mark.feature(
    "me-status", "me-enrol", "me-keys", "me-codes", "me-password", "me-confirm", "me-sessions"
)
async def test_everything_of_ones_own(clinic, require_program):
    clinic.twofold("init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example")
    await clinic.serve()
    clinic.known_hosts()
    key, other = clinic.new_key("ben"), clinic.new_key("other")
    public = str(key.with_suffix(".pub"))
    clinic.twofold(
        "user", "add", "ben", "--email", "ben@clinic.example", "--require-2fa", "--key-file", public
    )
    phone, gate = Phone(clinic.oathtool), Gate(clinic, key)
    await gate.open()
    status, out, err = await gate.run("me", "--json")
    assert (status, out) == (1, "")
    assert err.endswith(
        "Two-factor authentication is required by an administrator. Type: ssh gate me enrol\n"
    )
    codes = await enrols_by_a_program(gate, phone)
    assert len(codes) == 5

    status, out, err = await gate.run("me", "--json")
    assert (status, err) == (0, "")
    mine = json.loads(out)
    assert (mine["status"], mine["required"], mine["attempts_left"]) == ("Enabled", True, 7)
    assert [row["mine"] for row in mine["sessions"]] == [True]
    status, out, _ = await gate.run("me")
    assert out.startswith("2FA is on, by authenticator app, since ")
    assert "5 recovery codes left. 7 attempts left.\n" in out

    for words, given, says in (
        (("me", "key", "add", "-"), other.with_suffix(".pub").read_text(), "Key SHA256:"),
        (("me", "key", "list"), "", "never used"),
        (("me", "password"), f"{PASSWORD}\n", "Password changed."),
        (("me", "codes", "--yes"), "y\n", "-"),
        (("me", "edit", "--name", "'Ben Okri'"), "", "saved"),
        (("me", "theme", "dark"), "", "Theme: dark."),
        (("me", "sessions"), "", "(this session)"),
        (("me", "forget"), "", "No address is remembered."),
        (("me", "confirm"), f"{await phone.new_code()}\n", "Confirmed."),
    ):
        status, out, err = await gate.run(*words, given=given)
        assert (status, says in out) == (0, True), (words, out, err)
    for words, refused, says in (
        (("me", "turn-off", "--yes"), 1, "so it cannot be turned off"),
        (("me", "sessions", "end", "--others"), 1, "not one of your other sessions"),
        (("me", "key", "add", "/etc/passwd"), 2, "is not"),
        (("me", "nothing"), 2, "No such command 'nothing'"),
    ):
        status, out, err = await gate.run(*words)
        assert (status, out, says in err) == (refused, "", True), (words, err)

    terminal = await gate.at_a_terminal("me", "replace-phone")
    clinic.open.append(terminal)
    await terminal.expect("Code: ")
    terminal.type("qr\r")
    await terminal.expect("Code: ")
    old = phone.secret
    assert phone.scan(await qr_code(terminal)) == "Twofold:ben"
    assert phone.secret != old
    terminal.type(f"{await phone.new_code()}\r")
    assert await terminal.end() == 0
    assert b"The new phone is set up" in terminal.output
    assert b"\x1b" not in terminal.output
    await gate.close()
    assert await clinic.stop() == 0
    assert not [secret for secret in (*codes, old, phone.secret, PASSWORD) if secret.encode() in clinic.log]
