"""`twofold overview`: the same as on the screen, in the width of the terminal or as JSON."""

import json
import sys

import pytest
from support.own_commands import run_as

from data.storage import models


@pytest.fixture
def mixed(clinic):
    """Let North have two people, one of whom must set up a second factor, and one locked in Main."""
    clinic("practice", "add", "North")
    clinic("user", "add", "ben", "--email", "ben@clinic.example", "--practice", "North", "--require-2fa")
    clinic("user", "add", "cleo", "--email", "cleo@clinic.example", "--practice", "North")
    clinic("user", "add", "dora", "--email", "dora@clinic.example")
    models.database.connect(reuse_if_open=True)
    models.User.update(standing="locked").where(models.User.name == "dora").execute()
    models.database.close()
    return clinic


@pytest.mark.feature("overview", "attention-list")
@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_text_fits_the_terminal(mixed, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = mixed("overview").out.splitlines()
    table = shown[: shown.index("LAST 30 DAYS")]
    assert shown[0] == "Two-factor authentication: 0% of people (0 of 4)"
    assert max(map(len, table[1:])) == min(width, 120)
    numbers = {line.split("  ")[0]: line.split()[-4:] for line in table if line[-1:].isdigit()}
    assert numbers["All"] == ["0", "2", "1", "1"]
    assert numbers["North"] == ["0", "1", "1", "0"]
    assert numbers["Main"] == ["0", "1", "0", "1"]
    bar = next(line for line in table if line.startswith("North")).split()[1]
    assert bar == "▒" * (len(bar) // 2) + "░" * (len(bar) - len(bar) // 2)
    assert shown[shown.index("NEEDS ATTENTION") + 1] == "- 1 person is locked."


@pytest.mark.feature("overview", "attention-list")
def test_json(mixed):
    found = json.loads(mixed("overview", "--json").out)
    counts = {name: found[name] for name in ("enabled", "pending", "no", "locked")}
    assert (found["mode"], counts) == ("optional", {"enabled": 0, "pending": 2, "no": 1, "locked": 1})
    assert found["practices"] == [
        {"name": "Main", "enabled": 0, "pending": 1, "no": 0, "locked": 1},
        {"name": "North", "enabled": 0, "pending": 1, "no": 1, "locked": 0},
    ]
    assert [role["name"] for role in found["roles"]] == ["system_admin", "security_admin"]
    assert len(found["days"]) == 30
    assert set(found["days"][0]) == {"date", "successful", "refused"}
    assert found["attention"][0] == {
        "concern": "locked",
        "count": 1,
        "more": False,
        "sentence": "1 person is locked.",
        "advice": "",
        "role": None,
        "pending_before": None,
        "event": None,
    }


@pytest.mark.feature("overview", "account-named")
def test_one_account(clinic):
    clinic("account", "add", "Surgery", "--admin", "eve", "--email", "eve@surgery.example")
    refused = clinic("overview")
    assert (refused.status, "Choose one with --account NAME" in refused.err) == (1, True)
    assert "people (0 of 1)" in clinic("overview", "--account", "Surgery").out


@pytest.mark.feature("overview", "plain-prompt")
@pytest.mark.parametrize("columns", [40, 100])
def test_the_plain_mode_says_it_in_words(world, system_admin, columns):
    """A screen reader reads a bar aloud, block by block."""
    shown = run_as(world, world.session(system_admin), "overview", columns=columns, is_plain=True)
    assert shown.is_readable(columns)
    assert shown.out.isascii()
    assert "|" not in shown.out
    assert shown.says("All: 2 enabled, 0 pending, 3 without 2FA, 0 locked", "Sign-ins: ")
