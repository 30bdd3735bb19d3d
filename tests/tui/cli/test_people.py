"""Practices, roles and phone numbers on the command line."""

import base64
import codecs
import json
import os
import signal
import sqlite3
import struct
from contextlib import contextmanager

import pytest
from click import ClickException

from data.operations.users.bulk_actions import BulkResult
from tui.cli.commands import user_bulk


def shown(clinic, name: str) -> dict[str, object]:
    return json.loads(clinic("user", "show", name, "--json").out)


@pytest.mark.feature("practices", "move-users", "search")
def test_practices(clinic):
    """They are managed, and users move between them."""
    assert clinic("practice", "add", "North").out == "Practice North added.\n"
    assert clinic("practice", "rename", "main", "South").out == "Practice Main renamed to South.\n"
    added = clinic(
        "user", "add", "ben", "--email", "b@b.example", "--practice", "north", "--phone", "+49 30 12345678"
    )
    assert added.status == 0, added.err
    assert (shown(clinic, "ben")["practice"], shown(clinic, "ben")["phone"]) == ("North", "+493012345678")
    assert clinic("user", "move", "ben", "--practice", "South").out == "User ben moved to practice South.\n"
    listed = clinic("practice", "list").out.split("\n")
    assert [line.split() for line in listed[:3]] == [
        ["PRACTICE", "USERS", "ACTIVE"],
        ["North", "0", "0"],
        ["South", "2", "2"],
    ]
    assert json.loads(clinic("practice", "list", "--json").out)[1] == {
        "name": "South",
        "users": 2,
        "active": 2,
    }
    assert "ben" in clinic("user", "list", "--practice", "South", "--search", "030").out
    assert "ben" in clinic("user", "list", "--practice", "south").out
    assert "ben" not in clinic("user", "list", "--practice", "North").out


@pytest.mark.feature("last-administrators", "contact-form")
def test_refusals_are_one_line_that_says_what_to_do(clinic):
    for arguments, words in (
        (("practice", "add", "MAIN"), "Choose another name."),
        (("user", "move", "anna", "--practice", "x"), "The practice was not found."),
        (("user", "move", "nobody", "--practice", "Main"), "The user was not found."),
        (("user", "list", "--practice", "x"), "The practice was not found."),
        (("user", "export", "--practice", "x"), "The practice was not found."),
        (("user", "edit", "anna", "--phone", "4711"), "Start with + and the country code"),
        (("user", "role", "anna", "--take", "system_admin"), "the last active system administrator"),
    ):
        outcome = clinic(*arguments)
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (1, "", 1)
        assert words in outcome.err
    for arguments in (
        ("user", "role", "anna"),
        ("user", "edit", "anna"),
        ("user", "role", "anna", "--grant", "support", "--take", "support"),
    ):
        assert clinic(*arguments).status == 2


@pytest.mark.feature("grant-roles")
def test_roles_are_granted_and_taken_one_by_one(clinic):
    clinic("user", "add", "ben", "--email", "b@b.example", "--role", "support")
    outcome = clinic("user", "role", "ben", "--grant", "security_admin", "--grant", "system_admin")
    assert outcome.out == "Roles of ben saved.\n"
    assert shown(clinic, "ben")["roles"] == ["security_admin", "support", "system_admin"]
    assert clinic("user", "role", "anna", "--take", "system_admin", "--grant", "support").status == 0
    assert shown(clinic, "anna")["roles"] == ["security_admin", "support"]
    assert clinic("user", "role", "ben", "--grant", "support").status == 1


@pytest.mark.feature("shared-number")
def test_phone_number(clinic):
    """It is set, shared with a warning, and removed."""
    clinic("user", "add", "ben", "--email", "b@b.example", "--phone", "+49 30 12345678")
    outcome = clinic("user", "edit", "anna", "--phone", "+493012345678")
    assert (
        outcome.out == "User anna saved. ben has the same phone number. Use separate numbers if possible.\n"
    )
    assert clinic("user", "edit", "anna", "--phone", "").status == 0
    assert shown(clinic, "anna")["phone"] is None


@pytest.mark.feature("several-accounts")
def test_account_option(clinic):
    """With one account it is never named, and with several it must be."""
    added = clinic("account", "add", "Surgery", "--admin", "eve", "--email", "e@surgery.example")
    assert added.out.startswith("Account Surgery created. User eve created. ")
    assert "\nOne-time password of eve: " in added.out
    for arguments in (
        ("user", "list"),
        ("policy", "show"),
        ("audit", "list"),
        ("user", "key", "list", "eve"),
    ):
        refused = clinic(*arguments)
        assert (refused.status, refused.out) == (1, "")
        assert refused.err == (
            "twofold: There are several accounts (Clinic, Surgery). Choose one with --account NAME.\n"
        )
        assert clinic(*arguments, "--account", "surgery").status == 0
        assert "--account NAME" in clinic(*arguments[:-1], arguments[-1], "--help").out
    assert "user was not found" in clinic("user", "show", "anna", "--account", "Surgery").err
    assert "account was not found" in clinic("user", "list", "--account", "Nowhere").err
    assert [row["name"] for row in json.loads(clinic("account", "list", "--json").out)] == [
        "Clinic",
        "Surgery",
    ]
    assert json.loads(clinic("account", "show", "surgery", "--json").out)["administrators"] == ["eve"]
    assert "Main (1)" in clinic("account", "show", "Surgery").out
    assert clinic("account", "add", "clinic", "--admin", "joe", "--email", "j@j.example").status == 1


@pytest.mark.feature("fifty-keys")
def test_a_key_too_many_is_refused_in_words(clinic):
    for number in range(50):
        assert clinic("user", "key", "add", "anna", "-", stdin=public_key(number)).status == 0
    refused = clinic("user", "key", "add", "anna", "-", stdin=public_key(50))
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == "twofold: A user can have at most 50 keys. Remove an unused one first.\n"


def public_key(number: int) -> str:
    """Make one of many Ed25519 public keys, as the line of its file."""
    blob = struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, number.to_bytes(32))
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} number {number}\n"


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna@laptop"


@pytest.mark.parametrize(
    "raw",
    [
        codecs.BOM_UTF8 + KEY.encode(),
        KEY.encode("utf-16"),
        codecs.BOM_UTF16_BE + f"# mine\r\n{KEY}\r\n".encode("utf-16-be"),
        f"# mine\n\n{KEY}\n".encode(),
    ],
)
def test_key_file_encodings(tmp_path, clinic, raw):
    (tmp_path / "anna.pub").write_bytes(raw)
    for given in ({"stdin": raw}, {}):
        where = "-" if given else str(tmp_path / "anna.pub")
        outcome = clinic("user", "key", "add", "anna", where, **given)
        assert outcome.status == 0, outcome.err
        (key,) = shown(clinic, "anna")["keys"]
        assert key["comment"] == "anna@laptop"
        clinic("user", "key", "remove", "anna", key["fingerprint"])


def test_what_a_key_file_is_instead_is_said(tmp_path, clinic):
    (tmp_path / "keys").write_text(f"{KEY}\n{KEY}\n")
    outcome = clinic("user", "key", "add", "anna", str(tmp_path / "keys"))
    assert (outcome.status, outcome.err) == (
        1,
        "twofold: That is more than one key. Add them one at a time.\n",
    )


def test_addresses_of_inner_networks(tmp_path, run):
    arguments = ("init", "--account", "Clinic", "--admin", "anna", "--email", "root@localhost")
    assert run(*arguments, "--password-stdin", stdin="a one time passphrase\n").status == 0
    assert run("user", "add", "ben", "--email", "ben@klinik.local").status == 0
    assert run("user", "edit", "ben", "--email", "ben@mail.home.arpa").status == 0
    (tmp_path / "people.csv").write_text("name,email\neve,eve@localhost\n")
    assert run("user", "import", "--yes", str(tmp_path / "people.csv")).status == 0
    emails = [shown(run, name)["email"] for name in ("anna", "ben", "eve")]
    assert emails == ["root@localhost", "ben@mail.home.arpa", "eve@localhost"]


@pytest.mark.feature("rename-and-remove")
def test_rename_and_remove(clinic):
    """An account is renamed and an empty practice removed."""
    clinic("practice", "add", "North")
    assert clinic("practice", "remove", "north").out == "Practice North removed.\n"
    assert "1 user is in practice Main" in clinic("practice", "remove", "Main").err
    assert clinic("account", "rename", "Clinic", "Ward").out == "Account Clinic renamed to Ward.\n"
    assert clinic("account", "list").out.splitlines()[1].startswith("Ward ")


@pytest.mark.feature("filters")
def test_filters_combine(clinic, home):
    """Lists and exports show whoever meets all of them; the two about the last sign-in are one."""
    for name, role in (("ben", "support"), ("eve", "support"), ("joe", None)):
        given = ("--role", role) if role else ()
        assert clinic("user", "add", name, "--email", f"{name}@b.example", *given).status == 0
    assert clinic("practice", "add", "North").status == 0
    assert clinic("user", "move", "eve", "--practice", "North").status == 0

    def found(*filters: str) -> list[str]:
        listed = [row["name"] for row in json.loads(clinic("user", "list", "--json", *filters).out)]
        exported = clinic("user", "export", "--format", "jsonl", *filters).out.splitlines()
        assert [json.loads(line)["name"] for line in exported] == listed
        return listed

    assert found("--role", "support") == ["ben", "eve"]
    assert found("--role", "support", "--practice", "North", "--never-signed-in") == ["eve"]
    assert found("--role", "support", "--method", "app") == []
    assert found("--status", "no", "--search", "b.example") == ["joe"]
    assert found("--status", "pending", "--search", "b.example") == ["ben", "eve"]
    assert found("--status", "Pending setup on next login", "--search", "ben") == ["ben"]
    assert found("--status", "pending", "--pending-before", "30d") == []
    with sqlite3.connect(home / "twofold.db") as database:
        database.execute("UPDATE user SET standing_since = 0 WHERE name IN ('ben', 'joe')")
    assert found("--pending-before", "2026-01-31") == ["ben"]
    assert found("--few-recovery-codes") == []
    assert found("--last-signin-before", "30d") == []
    assert found("--last-signin-before", "2026-01-31", "--never-signed-in", "--status", "no") == ["joe"]
    assert set(json.loads(clinic("user", "list", "--json").out)[0]) == {
        *("name", "full_name", "email", "phone", "practice", "roles", "status", "last_signin_at")
    }
    wrong = clinic("user", "list", "--last-signin-before", "lately")
    assert wrong.status == 2
    assert "--last-signin-before must be 30m, 2h, 7d, or a date" in wrong.err


@pytest.mark.feature("bulk-more")
def test_an_interrupt_loses_no_password(clinic, monkeypatch):
    """Ctrl+C stops it after the part that is being done; who is left is named."""
    names = [f"user{number:02}" for number in range(25)]
    for name in names:
        assert clinic("user", "add", name, "--email", f"{name}@b.example").status == 0

    @contextmanager
    def interrupted(_count, _label):
        yield lambda _more: os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(user_bulk, "progress", interrupted)
    outcome = clinic("user", "password", *names)
    lines = [line.split(maxsplit=1) for line in outcome.out.splitlines()]
    assert [line[0] for line in lines[:20]] == names[:20]
    assert outcome.out.splitlines()[20] == "20 users given a one-time password."
    assert lines[-5:] == [[name, "You stopped it."] for name in names[20:]]
    assert outcome.status == 1
    assert "Stopped before 5 users." in outcome.err


@pytest.mark.feature("bulk-more")
def test_several_names(clinic):
    """Several users are moved, required, cleared and so on at once; who is refused is listed."""
    for name in ("ben", "eve"):
        assert clinic("user", "add", name, "--email", f"{name}@b.example").status == 0
    assert clinic("practice", "add", "North").status == 0
    moved = clinic("user", "move", "ben", "eve", "nobody", "--practice", "North")
    assert moved.out.startswith("2 users moved.\n")
    assert moved.out.splitlines()[-1].split(maxsplit=1) == ["nobody", "The user was not found."]
    assert [shown(clinic, name)["practice"] for name in ("ben", "eve")] == ["North", "North"]
    made = clinic("user", "password", "ben", "eve").out.splitlines()
    assert [line.split("  ")[0] for line in made[:2]] == ["ben", "eve"]
    assert made[2] == "2 users given a one-time password."
    assert shown(clinic, "eve")["one_time_password"] is True
    assert len(clinic("user", "password", "ben", "BEN", "eve").out.splitlines()) == 3
    assert clinic("user", "password", "ben", "eve", "--password-stdin", stdin="x").status == 2
    refused = clinic("user", "unlock", "ben", "eve", "--reason", "phones")
    assert (refused.status, "User ben is not locked." in refused.out) == (1, True)
    assert clinic("user", "deactivate", "ben", "eve").status == 2
    assert clinic("user", "deactivate", "ben", "eve", "--yes").out == "2 users deactivated.\n"
    assert shown(clinic, "ben")["active"] is False
    assert clinic("user", "disable-2fa", "ben", "eve", "--yes").out == "2 users had their 2FA disabled.\n"
    assert clinic("user", "require", "ben", "eve").out == "2 users required.\n"
    assert shown(clinic, "eve")["required"] is True
    assert "--no is for one user" in clinic("user", "require", "ben", "eve", "--no").err
    assert clinic("user", "clear-2fa", "ben", "eve").status == 2
    assert clinic("user", "clear-2fa", "ben", "eve", "--yes").out == "2 users cleared.\n"
    assert clinic("audit", "list", "--event", "two_factor.cleared", "--json").out.count('"event"') == 2


@pytest.mark.feature("bulk-parts")
def test_who_was_left_is_named(capsys):
    """A database that fails between two parts leaves people: the command names them, and fails."""
    result = BulkResult(("ann",), (("bob", "User bob is not locked."),), ("cleo", "dan"), "It went away.")
    with pytest.raises(ClickException, match="Stopped before 2 users"):
        user_bulk.report(result, "unlocked")
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["1", "user unlocked."]
    assert lines[2:] == [
        ["bob", "User bob is not locked."],
        ["cleo", "It went away."],
        ["dan", "It went away."],
    ]
