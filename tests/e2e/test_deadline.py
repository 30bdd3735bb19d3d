"""A clinic of 40 goes from the mode off, with a deadline, to everybody Enabled.

Its people sign in over SSH with their keys and set up by `me enrol`; the reminders go through a real mail
server; the overview's figures tell how far the clinic is. The clock is moved by hand.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from support.mail_server import HOST, MailServer, mail_server
from support.ssh_server import Running, connect, running_server
from support.ssh_users import OPERATOR, People, enrol_with_app, open_people

from data.delivery.carriers import Carriers, Smtp
from data.delivery.notices import send_due
from data.operations.derived_user_columns import refresh_standing
from data.operations.users import role_grants
from data.rules.deadline import begins
from data.rules.domain_types import Method, Role
from data.storage import models
from sshserver.auth_backend import StoreBackend
from tui.cli.over_ssh.runner import MemberCommands

STAFF = [f"p{number:02}" for number in range(38)]
"""Everyone but `admin` and anna, who administer."""
AT_ONCE = 6
"""How many set up at the same time."""
LEFT = re.compile(r"Twofold: (\d+) days? left to set up two-factor authentication")


@dataclass
class Clinic:
    """The clinic, and what its people do."""

    people: People
    running: Running
    mail: MailServer
    carriers: Carriers
    secrets: dict[str, str] = field(default_factory=dict)

    def goes_to(self, days_before: float) -> None:
        """Move the clock to a time before the deadline."""
        self.people.clock.now = self.deadline - timedelta(days=days_before)

    @asynccontextmanager
    async def session(self, name: str, *answers: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
        connection, client = await connect(
            self.running.port, name, list(answers), keys=[self.people.keys[name]]
        )
        async with connection:
            for code in client.answers:  # In the mode off, an act on others asks for it.
                assert (await connection.run("me confirm", input=f"{code}\n")).exit_status == 0
            yield connection

    async def anna(self, command: str, given: str = "") -> str:
        """Have the administrator give a command in a session of her own; return what it prints."""
        self.people.clock.forward(30)
        async with self.session("anna", self.people.code()) as anna:
            done = await anna.run(command, input=given)
            assert (done.exit_status, done.stderr) == (0, ""), done
            return str(done.stdout)

    async def figures(self) -> dict[str, Any]:
        """Read the overview; return its figures by status, and the days left."""
        seen = json.loads(await self.anna("overview --json"))
        assert seen["practices"][0]["enabled"] == seen["enabled"]
        return {name: seen[name] for name in ("enabled", "pending", "no", "locked", "days_left")}

    async def set_up(self, names: Sequence[str], command: str = "me enrol", *answers: str) -> None:
        """Have people set up a phone, some of them at the same time."""
        together = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with together, self.session(name, *answers) as person:
                process = await person.create_process(command)
                shown = await process.stdout.readuntil("issuer=")
                secret = re.search(r"secret=([A-Z2-7]+)", shown)
                assert secret is not None
                self.secrets[name] = secret[1]
                process.stdin.write(f"{self.people.code(secret=secret[1])}\ny\n")
                result = await asyncio.wait_for(process.wait(), 60)
                assert result.exit_status == 0, result

        await asyncio.gather(*map(one, names))

    async def reminded(self) -> tuple[str, set[str]]:
        """Do a round of sending; return how many days the reminders name, and who got one."""
        self.mail.messages.clear()
        await send_due(self.people.store, self.carriers)
        reminders = [message for message in self.mail.messages if LEFT.match(message["Subject"])]
        said = {LEFT.match(message["Subject"])[1] for message in reminders}
        told = Counter(message["To"].partition("@")[0] for message in reminders)
        assert max(told.values(), default=1) == 1
        return "".join(said), set(told)


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    found = open_people(tmp_path)
    found.store.services = replace(found.store.services, sends=frozenset({Method.EMAIL}))
    yield found
    found.store.close()


@pytest.fixture
async def clinic(people: People) -> AsyncIterator[Clinic]:
    """Two administrators who have set up, in the mode off."""
    await people.store.run(enrol_with_app, "admin")
    await people.store.run(lambda tx: refresh_standing(models.User.name == "admin", tx.now))
    await people.add_with_key("anna")
    every = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
    await people.store.run(role_grants.set_roles, OPERATOR, "anna", every, seen=frozenset())
    async with mail_server() as mail:
        carriers = Carriers(smtp=Smtp(HOST, mail.port, "twofold@example.org", security="none"))
        commands = MemberCommands(people.store, carriers)
        async with running_server(StoreBackend(people.store), run_command=commands.run) as running:
            made = Clinic(people, running, mail, carriers)
            await made.anna("policy set --mode off --yes")
            yield made


@pytest.mark.feature("journey-deadline", "deadline", "deadline-reminders", "temporary-code")
async def test_from_off_to_everybody_enabled(clinic: Clinic):
    people = clinic.people
    for name in STAFF:
        people.keys[name] = asyncssh.generate_private_key("ssh-ed25519")
    keys = {name: people.keys[name].export_public_key("openssh").decode().strip() for name in STAFF}
    rows = [f"{name},{name}@example.org,{key}" for name, key in keys.items()]
    await clinic.anna("user import - --yes", "\n".join(["name,email,public_key", *rows]))
    assert await clinic.figures() == {"enabled": 2, "pending": 0, "no": 38, "locked": 0, "days_left": None}

    # Volunteers come first; then the deadline is set, and nobody must do anything yet.
    await clinic.anna("policy set --mode optional --yes")
    await clinic.set_up(STAFF[:5])
    day = people.clock.now.date() + timedelta(days=20)
    clinic.deadline = begins(day)
    await clinic.anna(f"policy set --mode required --from {day} --yes")
    assert await clinic.figures() == {"enabled": 7, "pending": 0, "no": 33, "locked": 0, "days_left": 20}
    assert await clinic.reminded() == ("", set())

    # Two weeks before, whoever is missing is reminded, and told again when signing in.
    clinic.goes_to(14)
    assert await clinic.reminded() == ("14", set(STAFF[5:]))
    assert await clinic.reminded() == ("", set())
    async with clinic.session("p05") as person:
        shown = await person.run("me")
        assert "14 days left to set up two-factor authentication. Type: " in shown.stderr
    await clinic.set_up(STAFF[5:20])
    assert await clinic.figures() == {"enabled": 22, "pending": 0, "no": 18, "locked": 0, "days_left": 14}

    # The server is off while seven days are left; it makes up for that, and not for what was sent.
    clinic.goes_to(4.5)
    assert await clinic.reminded() == ("5", set(STAFF[20:]))
    await clinic.set_up(STAFF[20:30])
    clinic.goes_to(2.5)
    assert await clinic.reminded() == ("3", set(STAFF[30:]))
    await clinic.set_up(STAFF[30:34])
    clinic.goes_to(0.5)
    assert await clinic.reminded() == ("1", set(STAFF[34:]))
    assert await clinic.figures() == {"enabled": 36, "pending": 0, "no": 4, "locked": 0, "days_left": 1}

    # The deadline passes without anything being done; stragglers can do nothing but set up.
    clinic.goes_to(0)
    assert await clinic.figures() == {"enabled": 36, "pending": 4, "no": 0, "locked": 0, "days_left": None}
    assert await clinic.reminded() == ("", set())
    async with clinic.session("p34") as straggler:
        refused = await straggler.run("me")
        assert (refused.exit_status, refused.stdout) == (1, "")
    await clinic.set_up(STAFF[34:37])
    assert await clinic.figures() == {"enabled": 39, "pending": 1, "no": 0, "locked": 0, "days_left": None}

    await lose_a_phone(clinic)
    await clinic.set_up(STAFF[37:])
    assert await clinic.figures() == {"enabled": 40, "pending": 0, "no": 0, "locked": 0, "days_left": None}
    listed = json.loads(await clinic.anna("user list --json"))
    assert {row["status"] for row in listed} == {"Enabled"}
    assert len(listed) == 40
    assert clinic.secrets.keys() == set(STAFF)


async def lose_a_phone(clinic: Clinic) -> None:
    """A temporary code signs in once, and the new phone takes the place of the old one."""
    people = clinic.people
    made = await clinic.anna("user temporary-code p00 --yes")
    code = made.split("Temporary code: ")[1].strip()
    lost = clinic.secrets["p00"]
    await clinic.set_up(["p00"], "me replace-phone", code)
    people.clock.forward(60)
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(clinic.running.port, "p00", [people.code(secret=lost)], keys=[people.keys["p00"]])
    async with clinic.session("p00", people.code(secret=clinic.secrets["p00"])) as person:
        assert "2FA is on" in (await person.run("me")).stdout
