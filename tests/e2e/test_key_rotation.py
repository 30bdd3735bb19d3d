"""The master key is rotated while a server runs, and rotated elsewhere without the server's home."""

import shutil
from pathlib import Path

from support.installed_program import Clinic


def prepared(clinic: Clinic) -> Path:
    """Create an installation with ben, who signs in by a key."""
    clinic.one_time_password(
        "init", "--account", "Clinic", "--admin", "anna", "--email", "anna@clinic.example"
    )
    clinic.one_time_password("user", "add", "ben", "--email", "ben@clinic.example")
    path = clinic.new_key("ben_key")
    clinic.twofold("user", "key", "add", "ben", f"{path}.pub")
    return path


async def sign_in(clinic: Clinic, key: Path) -> None:
    terminal = await clinic.connect("ben", key=key)
    await terminal.expect_on_screen("1 M")
    await terminal.kill()


async def test_server_follows_a_rotation(clinic: Clinic, tmp_path: Path) -> None:
    """It refuses sign-ins while it has the old key only."""
    key = prepared(clinic)
    await clinic.serve("--workers", "1")
    clinic.known_hosts()
    await sign_in(clinic, key)
    clinic.twofold("key", "rotate", "--yes")
    await sign_in(clinic, key)

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(clinic.home, elsewhere, ignore=shutil.ignore_patterns("*.sock"))
    (elsewhere / "twofold.db").unlink()
    (elsewhere / "twofold.db").symlink_to(clinic.home / "twofold.db")
    clinic.twofold("--home", str(elsewhere), "key", "rotate", "--yes")
    terminal = await clinic.connect("ben", key=key)
    await terminal.expect("Sign-in is not possible right now")
    await terminal.kill()
    (elsewhere / "master.key").replace(clinic.home / "master.key")
    await sign_in(clinic, key)
