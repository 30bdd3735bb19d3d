"""`twofold clock`: who is stuck since a clock was ahead, and bringing them back."""

import json
from datetime import UTC, datetime

import pytest

from data.storage import models


def put_ahead(name: str, days: int) -> None:
    """Give a user a factor whose last code was of the future."""
    models.database.connect(reuse_if_open=True)
    now = datetime.now(UTC)
    models.Factor.insert(
        user=models.User.get(models.User.name == name).id,
        kind="app",
        sealed_secret=b"",
        last_step=int(now.timestamp()) // 30 + days * 2880,
        confirmed_at=now,
    ).execute()
    models.database.close()


def test_nobody_is_stuck_in_a_new_installation(clinic):
    assert "No users are affected" in clinic("clock", "show").out
    outcome = clinic("clock", "repair", "--yes")
    assert (outcome.status, outcome.out) == (0, "No users are affected by a clock jump.\n")


def test_stuck_user_is_brought_back(clinic):
    put_ahead("anna", days=2)
    assert "anna  Clinic" in clinic("clock", "show").out
    shown = json.loads(clinic("clock", "show", "--json").out)
    assert [(user["name"], user["account"]) for user in shown["stuck"]] == [("anna", "Clinic")]
    refused = clinic("clock", "repair")
    assert refused.status == 2
    assert "--yes" in refused.err
    assert json.loads(clinic("clock", "show", "--json").out)["stuck"]
    outcome = clinic("clock", "repair", "--yes")
    assert outcome.status == 0
    assert outcome.out.endswith(
        "1 user can sign in again within a minute. The phone's next code is skipped; the one after it "
        "works.\n"
    )
    assert json.loads(clinic("clock", "show", "--json").out)["stuck"] == []
    assert "Clock jump repaired" in clinic("audit", "list").out


@pytest.mark.feature("deadline")
def test_time_that_was_seen_too_early(clinic):
    """Deadlines are judged by the clock again once the operator says that it is right."""
    models.database.connect(reuse_if_open=True)
    models.Account.update(seen_at=datetime(2100, 1, 1, tzinfo=UTC)).execute()
    models.database.close()
    assert json.loads(clinic("clock", "show", "--json").out)["ahead"] == [
        {"account": "Clinic", "until": "2100-01-01T00:00:00Z"}
    ]
    assert "grace are judged at 2100-01-01 00:00:00Z until then." in clinic("clock", "show").out
    done = clinic("clock", "repair", "--yes")
    assert done.out.endswith("Deadlines and days of grace are judged by the clock again.\n")
    assert json.loads(clinic("clock", "show", "--json").out)["ahead"] == []
