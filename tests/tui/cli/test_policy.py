"""`twofold policy`."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from data.rules.domain_types import Mode


@pytest.mark.feature("permanent-checklist")
def test_the_checklist_names_who_is_missing(clinic):
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    shown = clinic("policy", "checklist").out
    assert "NO   Every active user has 2FA or can be sent codes: missing anna, ben" in shown
    found = json.loads(clinic("policy", "checklist", "--json").out)
    assert (found["account"], found["mode"], found["passes"]) == ("Clinic", "optional", False)
    assert [(item["met"], item["missing_names"]) for item in found["items"]] == [
        (False, ["anna"]),
        (False, ["anna", "ben"]),
        (False, []),
    ]


@pytest.mark.feature("permanent-from-required")
def test_permanent_needs_its_conditions(clinic):
    """Required, the checklist and the name."""
    refused = clinic("policy", "set", "--mode", "permanent", "--confirm", "Clinic")
    assert (refused.status, "must be required before" in refused.err) == (1, True)
    clinic("policy", "set", "--mode", "required", "--yes")
    refused = clinic("policy", "set", "--mode", "permanent", "--confirm", "Clinic")
    assert (refused.status, "missing anna" in refused.err) == (1, True)


@pytest.mark.feature("permanent-confirmed", "permanent-stays")
def test_permanent_is_shown_with_its_day(clinic, monkeypatch):
    clinic("policy", "set", "--mode", "required", "--yes")
    monkeypatch.setattr("data.operations.policy.policy_settings.passes", bool)
    unnamed = clinic("policy", "set", "--mode", "permanent", "--yes")
    assert (unnamed.status, "Add --confirm with the account's name" in unnamed.err) == (2, True)
    misnamed = clinic("policy", "set", "--mode", "permanent", "--confirm", "Klinik")
    assert (misnamed.status, "type the name of the account, Clinic" in misnamed.err) == (1, True)
    done = clinic("policy", "set", "--mode", "permanent", "--confirm", "Clinic")
    assert (done.status, done.out) == (0, "The mode is now permanent.\n")
    assert "permanent since 20" in clinic("policy", "show").out
    shown = json.loads(clinic("policy", "show", "--json").out)
    assert shown["mode"] == "permanent"
    assert shown["permanent_by"].startswith("operator:")
    for mode in Mode:
        left = clinic("policy", "set", "--mode", mode.value, "--yes", "--confirm", "Clinic")
        assert (left.status, "permanent" in left.err) == (1, True)


@pytest.mark.feature("remember-days")
def test_days_of_remembering(clinic):
    assert "Sign-in  a code at every sign-in" in clinic("policy", "show").out
    done = clinic("policy", "set", "--remember-days", "3")
    assert (done.status, done.out[:12]) == (0, "From now on:")
    assert json.loads(clinic("policy", "show", "--json").out)["remember_days"] == 3
    assert clinic("policy", "set", "--remember-days", "8").status == 2
    assert "Nothing to change" in clinic("policy", "set").err


@pytest.mark.feature("notice-places")
def test_notices_of_new_places(clinic):
    assert "Notices  sign-ins from new places\n" in clinic("policy", "show").out
    assert json.loads(clinic("policy", "show", "--json").out)["notify_new_places"] is True
    done = clinic("policy", "set", "--notify-new-places", "off")
    assert (done.status, done.out) == (0, "E-mail about sign-ins from new places is now off.\n")
    assert "Notices  none\n" in clinic("policy", "show").out
    assert json.loads(clinic("policy", "show", "--json").out)["notify_new_places"] is False
    assert clinic("policy", "set", "--notify-new-places", "off").status == 1
    assert clinic("policy", "set", "--notify-new-places", "perhaps").status == 2
    assert "policy.notices_changed" in clinic("audit", "list", "--json").out


@pytest.mark.feature("notice-locks")
def test_notices_of_locks(clinic):
    assert json.loads(clinic("policy", "show", "--json").out)["notify_locks"] is False
    done = clinic("policy", "set", "--notify-locks", "on")
    assert (done.status, done.out) == (0, "E-mail about locked people is now on.\n")
    assert "Notices  sign-ins from new places, locked people\n" in clinic("policy", "show").out
    assert json.loads(clinic("policy", "show", "--json").out)["notify_locks"] is True


def test_forgetting_says_when_there_is_nothing(clinic):
    assert clinic("user", "forget", "anna").out == "No address is remembered.\n"
    assert json.loads(clinic("user", "show", "anna", "--json").out)["remembered"] == []
    refused = clinic("user", "forget", "anna", "--address", "192.0.2.1")
    assert (refused.status, refused.err) == (1, "twofold: That address is not remembered.\n")
    assert clinic("user", "forget", "nobody").err == "twofold: The user was not found.\n"


@pytest.mark.feature("explain")
def test_a_user_is_explained_in_sentences(clinic):
    lines = clinic("user", "explain", "anna").out.splitlines()
    assert (
        lines[0]
        == "note   Yes, anna can sign in now, with the one-time password, and must set a new one first."
    )
    assert lines[1] == "fine   anna is active."
    assert "note   They have not signed in yet." in lines
    shown = json.loads(clinic("user", "explain", "anna", "--json").out)
    assert (shown["name"], shown["can_sign_in"]) == ("anna", True)
    assert shown["findings"][1] == {"weight": "fine", "sentence": "anna is active."}
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    clinic("user", "deactivate", "--yes", "ben")
    first = clinic("user", "explain", "ben").out.splitlines()[0]
    assert first == "stops  No, ben cannot sign in now: they are deactivated."
    assert json.loads(clinic("user", "explain", "ben", "--json").out)["can_sign_in"] is False
    assert clinic("user", "explain", "nobody").status == 1


def test_a_resync_needs_an_app(clinic):
    assert "has not set up an authenticator app" in clinic("user", "resync", "anna").err
    assert clinic("user", "resync", "nobody").status == 1
    assert json.loads(clinic("user", "show", "anna", "--json").out)["resync_until"] is None


@pytest.mark.feature("deadline")
def test_required_from_a_day(clinic):
    """The day is shown with the days left, brought forward, and put off with a reason alone."""
    today = datetime.now(UTC).date()
    day, later = today + timedelta(days=11), today + timedelta(days=20)
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    alone = clinic("policy", "set", "--from", str(day))
    assert (alone.status, "need --mode required" in alone.err) == (2, True)
    for typed in ("", f"{day:%Y%m%d}", f"{day:%G-W%V-%u}", f"{day.year}-2-1", "2027-02-30"):
        refused = clinic("policy", "set", "--mode", "required", "--from", typed, "--yes")
        assert (refused.status, "as year, month and day" in refused.err) == (2, True), typed
    too_late = clinic("policy", "set", "--mode", "required", "--from", "9999-12-31", "--yes")
    assert (too_late.status, "at most 2 years ahead: " in too_late.err) == (1, True)
    assert (
        "must be after today"
        in clinic("policy", "set", "--mode", "required", "--from", str(today), "--yes").err
    )
    done = clinic("policy", "set", "--mode", "required", "--from", f" {day} ", "--yes")
    assert (done.status, done.out) == (0, f"The mode is now required from {day}.\n")
    assert f"Mode     required from {day}, 11 days left\n" in clinic("policy", "show").out
    assert f"Required from {day}: 11 days left" in clinic("overview").out
    assert "No (11 days left to set it up)" in clinic("user", "show", "ben").out
    assert f"The mode is required from {day}." in clinic("user", "explain", "ben").out
    unsaid = clinic("policy", "set", "--mode", "required", "--from", str(later), "--yes")
    assert (unsaid.status, "with --reason" in unsaid.err) == (2, True)
    done = clinic(
        "policy", "set", "--mode", "required", "--from", str(later), "--reason", "Late phones", "--yes"
    )
    assert done.status == 0
    shown = json.loads(clinic("policy", "show", "--json").out)
    assert (shown["deadline"], shown["days_left"], shown["deadline_put_off"]) == (
        f"{later}T00:00:00Z",
        20,
        1,
    )
    assert "put off 1 time" in clinic("policy", "show").out
    # By way of another mode it takes a reason as well, and the former deadline is not shown as one.
    clinic("policy", "set", "--mode", "optional", "--yes")
    assert json.loads(clinic("policy", "show", "--json").out)["deadline"] is None
    latest = ("policy", "set", "--mode", "required", "--from", str(later + timedelta(days=9)), "--yes")
    assert f"This puts the deadline of {later} off. Give a reason with --reason." in clinic(*latest).err
    assert clinic(*latest, "--reason", "Later still").status == 0
    assert "put off 2 times" in clinic("policy", "show").out
    assert clinic("policy", "set", "--mode", "required", "--yes").out == "The mode is now required.\n"
    assert json.loads(clinic("user", "show", "ben", "--json").out)["days_left"] is None


@pytest.mark.feature("grace-days")
def test_days_of_grace(clinic):
    assert clinic("policy", "set", "--grace-days", "15").status == 2
    assert clinic("policy", "set", "--grace-days", "5").out == "New users now have 5 days of grace.\n"
    assert json.loads(clinic("policy", "show", "--json").out)["grace_days"] == 5
    clinic("policy", "set", "--mode", "required", "--yes")
    clinic("user", "add", "ben", "--email", "ben@clinic.example")
    assert clinic("user", "import", "-", "--yes", stdin="name,email\neve,eve@clinic.example\n").status == 0
    for name in ("ben", "eve"):
        assert "No (5 days left to set it up)" in clinic("user", "show", name).out
    assert json.loads(clinic("overview", "--json").out)["no"] == 2
