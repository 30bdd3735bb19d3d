"""Many connections at one moment: a code is good once, seven wrong ones lock, hanging up is no escape."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import asyncssh
from support.ssh_server import HOST, running_server
from support.ssh_users import People

from data.rules.policy import ATTEMPTS
from data.storage import models
from sshserver.auth_backend import StoreBackend

ROUNDS = 20
STEP = 30


class HeldBack(asyncssh.SSHClient):
    """Answers the question for a code when told to, so that many answer at one moment."""

    def __init__(self, code: str, start: asyncio.Event) -> None:
        self.code = code
        self.start = start
        self.asked = asyncio.Event()
        self.told: list[str] = []
        self.answered = False
        self.hang_up = False
        self.connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connection = conn

    def kbdint_auth_requested(self) -> str:
        return ""

    async def kbdint_challenge_received(self, _name, instruction, _lang, prompts):
        if instruction:
            self.told.append(instruction)
        self.asked.set()
        if not prompts:
            return []
        if self.answered:
            return None
        await self.start.wait()
        self.answered = True
        if self.hang_up:
            asyncio.get_running_loop().call_soon(self.connection.abort)
        return [self.code]


async def sign_in(port: int, name: str, client: HeldBack, key: asyncssh.SSHKey) -> bool:
    """Say whether a connection with a key and this client's code is let in."""
    try:
        connection = await asyncssh.connect(
            HOST,
            port,
            username=name,
            client_factory=lambda: client,
            client_keys=[key],
            known_hosts=None,
            config=None,
            agent_path=None,
        )
    except (asyncssh.Error, OSError):
        return False
    connection.close()
    await connection.wait_closed()
    return True


async def at_one_moment(port: int, name: str, clients: list[HeldBack], key: asyncssh.SSHKey) -> list[bool]:
    """Let every client pass its first factor, one after the other, and then answer all at once."""
    tasks = []
    for client in clients:
        tasks.append(asyncio.create_task(sign_in(port, name, client, key)))
        await asyncio.wait_for(client.asked.wait(), 20)
    clients[0].start.set()
    return await asyncio.gather(*tasks)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something in the database holds."""
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.01)


async def attempts_left(people: People, expected: int) -> bool:
    return (await people.user("alice")).attempts_left == expected


async def was_admitted_and_gone(people: People) -> bool:
    return (await people.user("alice")).last_signin_at is not None and not await people.open_sessions()


async def test_one_code_in_two_connections(people):
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as server:
        for round_ in range(ROUNDS):
            people.clock.forward(STEP)
            start = asyncio.Event()
            clients = [HeldBack(people.code(), start) for _ in range(2)]
            admitted = await at_one_moment(server.port, "alice", clients, key)
            assert sorted(admitted) == [False, True], f"round {round_}"
            told = [text for client in clients for text in client.told]
            assert len(told) == 1
            assert told[0].startswith("Code already used")
    assert (await people.user("alice")).attempts_left == ATTEMPTS


async def test_forty_wrong_codes_at_once(people):
    """Seven are judged, and the user is locked."""
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as server:
        start = asyncio.Event()
        clients = [HeldBack(people.wrong_code(), start) for _ in range(40)]
        admitted = await at_one_moment(server.port, "alice", clients, key)
        assert not any(admitted)
        told = Counter(text.partition(",")[0].partition(".")[0] for client in clients for text in client.told)
        assert told == {"Wrong code": 6, "Locked after seven wrong codes": 34}

        late = HeldBack(people.code(), start)
        assert not await sign_in(server.port, "alice", late, key)
        assert late.told == ["Locked after seven wrong codes. Ask a system administrator to unlock you."]
    table = models.AuditEntry
    evaluated = await people.store.read(
        lambda _tx: table.select().where(table.event == "signin.code_wrong").count()
    )
    assert evaluated == ATTEMPTS


async def test_hang_up_after_a_wrong_code(people):
    """The code is counted."""
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as server:
        for expected in range(ATTEMPTS - 1, 0, -1):
            start = asyncio.Event()
            start.set()
            client = HeldBack(people.wrong_code(), start)
            client.hang_up = True
            await sign_in(server.port, "alice", client, key)
            await eventually(lambda left=expected: attempts_left(people, left))


async def test_hang_up_after_a_right_code(people):
    """The code is spent."""
    key = await people.add_with_key("alice")
    async with running_server(StoreBackend(people.store)) as server:
        start = asyncio.Event()
        start.set()
        gone = HeldBack(people.code(), start)
        gone.hang_up = True
        await sign_in(server.port, "alice", gone, key)
        await eventually(lambda: was_admitted_and_gone(people))
        again = HeldBack(people.code(), start)
        assert not await sign_in(server.port, "alice", again, key)
        assert again.told[0].startswith("Code already used")
