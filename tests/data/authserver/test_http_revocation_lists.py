"""`GET /krl/ACCOUNT`: which certificates hosts must refuse, for anyone who asks."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from support.certificates import give_certificate
from support.database import OPERATOR, World
from support.http_server import curl, http_server

from data.authserver import http_revocation_lists
from data.authserver import http_server as tested
from data.operations.certificates import authorities
from data.operations.certificates.withdrawal import withdraw
from data.operations.maintenance import accounts
from data.store import StoreUnavailableError

pytestmark = [
    pytest.mark.only_on("sqlite"),
    pytest.mark.usefixtures("curl_program"),
    pytest.mark.feature("certificates-http"),
]


@pytest.fixture
def withdrawn(world: World) -> int:
    """The serial of a certificate of ben that was withdrawn, in an account with a name of two words."""
    world.run(accounts.rename_account, OPERATOR, "Clinic", "Clinic Öst")
    world.run(authorities.init_authority, OPERATOR)
    world.user("ben")
    serial = give_certificate(world, world.enrol("ben"))
    assert world.run(withdraw, world.row("ben").id, "tests") == 1
    return serial


def listed(content: bytes, folder: Path) -> str:
    """Return what ssh-keygen finds in a list."""
    file = folder / "krl"
    file.write_bytes(content)
    command = ["ssh-keygen", "-Q", "-l", "-f", str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


async def test_who_asks_gets_the_list(world, withdrawn, tmp_path, require_program):
    """Whoever it is; what is unchanged is not sent again, and what is not there is not explained."""
    require_program("ssh-keygen")
    async with http_server(world.store) as base:
        url = f"{base}/krl/clinic%20%C3%96st"
        found = await curl(url)
        assert (found.status, found.headers["content-type"]) == (200, "application/octet-stream")
        assert (found.headers["cache-control"], found.headers["server"]) == ("public, max-age=2", "Twofold")
        assert f"serial: {withdrawn}\n" in listed(found.body, tmp_path)
        tag = found.headers["etag"]
        for header in (tag, f'"x", {tag}', "*"):
            again = await curl(url, "-H", f"If-None-Match: {header}")
            assert (again.status, again.headers["etag"], again.body) == (304, tag, b"")
        assert (await curl(url, "-H", 'If-None-Match: "x", nonsense')).status == 200
        head = await curl(url, "--head")
        assert (head.status, head.headers["content-length"]) == (200, str(len(found.body)))
        posted = await curl(url, "-X", "POST")
        assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")
        for path in (
            "krl",
            "krl/",
            "krl/Clinic",
            f"krl/{'x' * 8_000}",
            "krl/%00",
            "krl/%FF",
            "krl/clinic%20%C3%96st/x",
        ):
            missing = await curl(f"{base}/{path}")
            assert missing.status == 404
            assert missing.headers["cache-control"] == "no-store"
        assert (await curl(f"{base}/krl/{'y' * 2_000}")).json == {"error": {"message": "Not found."}}


async def test_an_account_without_an_authority_has_none(world):
    async with http_server(world.store) as base:
        assert (await curl(f"{base}/krl/Clinic")).status == 404


async def test_many_ask_and_one_reads(world, withdrawn, monkeypatch):
    """For as long as what was read is kept; another worker says the same later, until it changes."""
    reads, read = [], world.store.read

    async def counted(operation, *arguments):
        reads.append(operation)
        return await read(operation, *arguments)

    monkeypatch.setattr(world.store, "read", counted)
    monkeypatch.setattr(http_revocation_lists, "_KEPT_SECONDS", 3_600.0)
    paths = ["krl/Clinic%20%C3%96st", "krl/CLINIC%20%C3%B6st"] * 4
    async with http_server(world.store) as base:
        found = await asyncio.gather(*(curl(f"{base}/{path}") for path in paths))
        assert [each.status for each in found] == [200] * len(paths)
        assert len(reads) == 1
        monkeypatch.setattr(http_revocation_lists, "_KEPT_SECONDS", 0.0)
        async with http_server(world.store) as other:
            url = f"{other}/{paths[0]}"
            world.clock.forward(seconds=90)
            same = await curl(url)
            assert same.body != found[0].body
            assert same.headers["etag"] == found[0].headers["etag"]
            give_certificate(world, world.session("ben"))
            world.run(withdraw, world.row("ben").id, "tests")
            changed = await curl(url)
            assert (len(changed.body), changed.headers["etag"] == same.headers["etag"]) == (
                len(same.body) + 8,
                False,
            )


async def test_a_flood_and_a_fault(world, withdrawn, monkeypatch):
    """Who asks too often is told to wait; without a database there is no list, rather than an empty one."""
    path = "krl/Clinic%20%C3%96st"
    async with http_server(world.store) as base:

        async def unavailable(*_):
            raise StoreUnavailableError

        monkeypatch.setattr(world.store, "read", unavailable)
        down = await curl(f"{base}/{path}")
        assert (down.status, down.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(tested, "REQUESTS_PER_SECOND", 0)
    async with http_server(world.store) as base:
        flood = await curl(f"{base}/{path}")
        assert (flood.status, flood.headers["retry-after"]) == (429, "1")


async def test_many_names_are_not_kept(world, monkeypatch):
    monkeypatch.setattr(http_revocation_lists, "_MOST_KEPT", 3)
    lists = http_revocation_lists.RevocationLists(world.store)
    for number in range(9):
        assert (await lists._find(f"name{number}")).content is None
    assert len(lists._kept) == 3
