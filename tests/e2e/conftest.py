"""What the journeys share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.installed_program import Clinic
from support.ssh_users import People, open_people


@pytest.fixture
async def clinic(tmp_path: Path, require_program) -> AsyncIterator[Clinic]:
    found = Clinic(
        tmp_path, require_program("ssh"), require_program("ssh-keygen"), require_program("oathtool")
    )
    yield found
    for terminal in found.open:
        await terminal.kill()
    if found.server is not None:
        if found.server.returncode is None:
            found.server.kill()
        await found.server.wait()
        # Its workers hold the log open until they have ended too.
        await found._reading


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    found = open_people(tmp_path)
    yield found
    found.store.close()
