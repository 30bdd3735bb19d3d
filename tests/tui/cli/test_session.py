"""`twofold session`: who is on, and ending that."""

import json

import pytest

from data.storage import models


def open_session(name: str) -> int:
    """Put an open session straight into the table, as a running server does."""
    models.database.connect(reuse_if_open=True)
    user = models.User.get(models.User.name == name)
    made = models.Session.insert(
        user=user.id,
        application="ssh",
        address="192.0.2.7",
        first_factor="key",
        methods="key and code",
        credential="x",
        started_at=user.created_at,
    ).execute()
    models.database.close()
    return int(made)


@pytest.mark.feature("session-list", "jumps-kept")
def test_jumps_of_a_session_are_listed(clinic):
    number = open_session("anna")
    models.database.connect(reuse_if_open=True)
    opened = models.Session.get(models.Session.id == number).started_at
    models.Jump.insert(
        session=number, name="db1", address="10.0.0.5", port=22, opened_at=opened, sent=1, received=2000
    ).execute()
    models.database.close()
    line = clinic("session", "list").out.splitlines()[1]
    assert line.endswith("signed in, jumps to db1")
    (listed,) = json.loads(clinic("session", "list", "--json").out)
    (jump,) = listed["jumps"]
    assert (jump["target"], jump["sent"], jump["received"]) == ("db1", 1, 2000)
    assert jump["opened_at"] == listed["started_at"]


@pytest.mark.feature("session-list")
def test_sessions_are_listed_and_ended(clinic):
    assert clinic("session", "list").out.split() == ["ID", "USER", "FROM", "SINCE", "BY", "STATE"]
    number = open_session("anna")
    line = clinic("session", "list").out.splitlines()[1]
    assert line.startswith(f"{number}   anna  ssh 192.0.2.7  ")
    assert line.endswith("key and code  signed in")
    listed = json.loads(clinic("session", "list", "--json").out)
    assert [(row["id"], row["user"], row["address"], row["methods"]) for row in listed] == [
        (number, "anna", "192.0.2.7", "key and code")
    ]
    outcome = clinic("session", "end", str(number))
    assert (outcome.status, outcome.out) == (0, "Session of anna from 192.0.2.7 ended.\n")
    assert json.loads(clinic("session", "list", "--json").out) == []
    assert "Session ended by an administrator (ssh 192.0.2.7)" in clinic("audit", "list").out


def test_unknown_session_and_wrong_usage(clinic):
    outcome = clinic("session", "end", "4711")
    assert (outcome.status, outcome.out) == (1, "")
    assert "The session was not found." in outcome.err
    for number in ("0", "x", str(2**64)):
        assert clinic("session", "end", number).status == 2
