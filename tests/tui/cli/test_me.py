"""`me`: what members see of themselves and change, in text."""

import asyncio
import json
from datetime import timedelta

import pytest
from support.database import OPERATOR, PASSWORD, SYSTEM, World
from support.mail_server import HOST, mail_server
from support.own_commands import run_as, run_me

from data.delivery.carriers import Carriers, Smtp
from data.operations.actors import Member
from data.operations.results import Done
from data.operations.signin import sessions
from data.operations.users import principals, user_summaries
from data.rules.domain_types import Method, Mode
from data.rules.policy import SignedIn
from data.storage import models
from tui.cli.commands.user_rendering import detail_json
from tui.cli.member.caller import MemberCaller
from tui.cli.open_installation import say
from tui.cli.streams import streams

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA laptop"
PRINT = "SHA256:"
NEW = "seventeen green umbrellas"


@pytest.fixture
def anna(world: World) -> Member:
    """An enrolled user whose session is open."""
    return world.enrol("anna")


def stale(world: World) -> None:
    """Let the proof of every session grow too old."""
    world.clock.forward(minutes=6)


@pytest.mark.feature("me-status")
def test_status_as_a_person_reads_it(world):
    me = world.session("anna")
    assert run_me(world, me).out.startswith("2FA is not set up.\nName: Anna Berg (anna)\n")
    world.wizard("anna", me)
    assert run_me(world, me).out.startswith(
        "2FA is on, by authenticator app, since 2 March. 5 recovery codes left. 7 attempts left.\n"
    )
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email("anna", me)
    world.set("anna", attempts_left=2)
    world.clock.forward(days=366)
    me = world.session("anna")
    world.set("anna", attempts_left=1)
    assert run_me(world, me).out.startswith(
        "2FA is on, by authenticator app and e-mail, since 2 March 2026. 5 recovery codes left. "
        "1 attempt left. After that, a system administrator must unlock you.\n"
    )
    world.mode(Mode.OFF)
    assert "Two-factor authentication is not available." in run_me(world, me).out


@pytest.mark.feature("me-status")
def test_status_on_forty_columns(world, anna):
    run_me(world, anna, "key", "add", "-", stdin=KEY.encode())
    models.Account.update(remember_days=3).execute()
    world.clock.forward(minutes=1)
    world.session("anna", address="2001:db8:0:1::42")
    shown = run_me(world, anna, columns=40)
    assert shown.is_readable()
    flat = " ".join(shown.out.split())
    for words in (
        "SSH keys: laptop SHA256:",
        "never used",
        "2001:db8:0:1::42 with password, until 2026-03-05",
    ):
        assert words in flat
    assert flat.count("since 2026-03-02 09:0") == 2
    assert flat.count("(this session)") == 1


@pytest.mark.feature("me-status")
def test_status_as_json(world, anna):
    """It has the keys of `user show`, and the sessions."""
    other = world.session("anna")
    told = run_me(world, anna, "--json")
    assert (told.status, told.err) == (0, "")
    found = json.loads(told.out)
    listed = found.pop("sessions")
    assert found.pop("plain") is False
    assert found == detail_json(world.run(user_summaries.user_detail, OPERATOR, "anna"))
    assert [(row["id"], row["mine"]) for row in listed] == [
        (other.session_id, False),
        (anna.session_id, True),
    ]
    assert json.loads(run_me(world, anna, "sessions", "--json").out) == listed


@pytest.mark.feature("me-status")
def test_principals(world, anna):
    """As whom hosts let one in, and why, where certificates are issued; administrators see the same."""
    world.user("boss", SYSTEM)
    shown = ("user", "show", "anna")
    for words in ((), ("--json",)):
        assert "anna (user name)" not in run_me(world, anna, *words).out
    assert "Principals" not in run_as(world, world.enrol("boss"), *shown).out
    models.Account.update(certificate_hours=8).execute()
    world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
    text = run_me(world, anna, columns=40)
    assert text.says("Principals: anna (user name) web (practice Main)")
    assert text.is_readable()
    listed = [
        {"principal": "anna", "from": "name", "practice": None, "counts": True},
        {"principal": "web", "from": "practice", "practice": "Main", "counts": True},
    ]
    boss = world.session("boss")
    for told in (run_me(world, anna, "--json"), run_as(world, boss, *shown, "--json")):
        assert json.loads(told.out)["principals"] == listed
    assert run_as(world, boss, *shown).says("Principals anna (user name), web (practice Main)")


@pytest.mark.feature("me-keys")
def test_keys(world, anna):
    """A key comes from standard input or is typed; removing it asks first."""
    assert run_me(world, anna, "key", "list").out == "none\n"
    assert run_me(world, anna, "key", "add", "-", stdin=b"no key").status == 1
    added = run_me(world, anna, "key", "add", "-", stdin=KEY.encode())
    assert added.out.startswith("Key SHA256:")
    assert world.events(last=1) == ["key.added"]
    (row,) = json.loads(run_me(world, anna, "key", "list", "--json").out)
    assert row["comment"] == "laptop"
    assert run_me(world, anna, "key", "add", types=[KEY]).err.endswith("That key was already added.\n")
    assert run_me(world, anna, "key", "add", "/etc/passwd").status == 2
    assert run_me(world, anna, "key", "list", columns=40).is_readable()

    before = world.dump()
    unasked = run_me(world, anna, "key", "remove", row["fingerprint"])
    assert unasked.status == 2
    assert "It will no longer sign you in." in unasked.err
    assert run_me(world, anna, "key", "remove", row["fingerprint"], types=["n"]).status == 1
    assert run_me(world, anna, "key", "remove", "SHA256:other", "--yes").err.startswith(
        "twofold: The key was not found."
    )
    assert world.dump() == before
    removed = run_me(world, anna, "key", "remove", row["fingerprint"], types=["y"])
    assert removed.out == f"Key {row['fingerprint']} removed.\n"
    assert world.events(last=1) == ["key.removed"]


@pytest.mark.feature("me-codes")
def test_codes(world, anna):
    """They are shown once, and asked to be saved."""
    old = world.recovery["anna"]
    assert run_me(world, anna, "codes").status == 2
    shown = run_me(world, anna, "codes", types=["y", "no", "y"], columns=40)
    assert shown.is_readable()
    assert "The old ones (5 left) stop working." in " ".join(shown.err.split())
    made = [line for line in shown.out.splitlines() if line.count("-") == 3]
    assert len(made) == 5
    assert not set(made) & set(old)
    assert world.events(last=2) == ["recovery.renewed", "recovery.saved"]
    assert world.row("anna").recovery_saved
    assert isinstance(world.submit(world.attempt("anna"), made[0]).session.step, SignedIn)


@pytest.mark.feature("me-codes")
def test_codes_that_nobody_says_are_saved(world, anna):
    told = run_me(world, anna, "codes", "--yes")
    assert told.status == 0
    assert [line.count("-") for line in told.out.splitlines()] == [3] * 5
    assert told.err.endswith("Your next sign-in replaces them.\n")
    assert not world.row("anna").recovery_saved
    assert run_me(world, anna, "codes", "--yes", stdin=b"y\n").status == 0
    assert world.row("anna").recovery_saved


def test_codes_without_second_factor(world):
    told = run_me(world, world.session("boris"), "codes", "--yes")
    assert (told.status, told.out) == (1, "")
    assert told.err == "twofold: Set up two-factor authentication first; recovery codes come with it.\n"


@pytest.mark.feature("me-turn-off")
def test_turning_off(world, anna):
    assert run_me(world, anna, "turn-off").status == 2
    told = run_me(world, anna, "turn-off", types=["y"], columns=40)
    assert told.is_readable()
    assert told.out == "Two-factor authentication is turned off.\n"
    assert world.events(last=1) == ["two_factor.turned_off"]
    again = run_me(world, anna, "turn-off", "--yes")
    assert (again.status, again.err) == (1, "twofold: Two-factor authentication is not set up.\n")


def test_turning_off_what_is_required(world):
    me = world.person("sue", SYSTEM)
    told = run_me(world, me, "turn-off", "--yes")
    assert told.status == 1
    assert "so it cannot be turned off" in told.err


@pytest.mark.feature("me-password")
def test_password_at_a_terminal(world):
    """It is asked for until it is good, and never shown."""
    me = world.session("boris")
    tried = ["short", "short", NEW, "another one entirely", PASSWORD, PASSWORD, NEW, NEW]
    told = run_me(world, me, "password", types=tried, columns=40)
    assert (told.status, told.out) == (0, "Password changed.\n")
    assert told.is_readable()
    assert NEW not in told.all
    flat = " ".join(told.err.split())
    for words in ("at least 12 characters", "do not match", "That is your current password"):
        assert words in flat
    assert world.has_hash_of("boris", NEW)
    assert world.events(last=1) == ["password.changed"]


@pytest.mark.feature("me-password")
def test_password_from_standard_input(world):
    me = world.session("boris")
    assert (
        run_me(world, me, "password", stdin=b"short\n").err
        == "twofold: The password must have at least 12 characters.\n"
    )
    assert run_me(world, me, "password").status == 2
    assert run_me(world, me, "password", stdin=f"{NEW}\nmore\n".encode()).out == "Password changed.\n"
    assert world.has_hash_of("boris", NEW)


@pytest.mark.feature("me-edit")
def test_edit(world, anna):
    assert run_me(world, anna, "edit").status == 2
    assert run_me(world, anna, "edit", "--email", "nowhere").status == 1
    changed = run_me(world, anna, "edit", "--name", "Anna Bergmann", "--phone", "+49 30 1234567")
    assert changed.status == 0
    assert (world.row("anna").full_name, world.row("anna").phone) == ("Anna Bergmann", "+49301234567")
    assert world.events(last=1) == ["user.edited"]
    assert run_me(world, anna, "edit", "--phone", "").status == 0
    assert world.row("anna").phone is None


@pytest.mark.feature("me-edit")
def test_theme(world, anna):
    assert run_me(world, anna, "theme", "high-contrast").out == "Theme: high contrast.\n"
    assert world.row("anna").theme == "high-contrast"
    assert run_me(world, anna, "theme", "pink").status == 2


@pytest.mark.feature("me-edit")
def test_plain_mode(world, anna):
    for choice in ("on", "off"):
        assert run_me(world, anna, "plain-mode", choice).out.startswith(f"Plain mode {choice}")
        assert world.row("anna").plain is (choice == "on")
        assert ("Plain mode: on" in run_me(world, anna).out) is (choice == "on")
    assert run_me(world, anna, "plain-mode").status == 2


@pytest.mark.feature("me-sessions")
def test_sessions(world, anna):
    """They are listed by number, and the others are ended."""
    first, second = world.session("anna", address="192.0.2.7"), world.session("anna")
    stranger = world.session("boris")
    shown = run_me(world, anna, "sessions", columns=40)
    assert shown.is_readable()
    assert f"{first.session_id}: ssh 192.0.2.7" in shown.out
    assert run_me(world, anna, "sessions", "end").status == 2
    assert run_me(world, anna, "sessions", "end", "1", "--others").status == 2
    for refused in (anna, stranger):
        assert run_me(world, anna, "sessions", "end", str(refused.session_id)).status == 1
    assert run_me(world, anna, "sessions", "end", str(first.session_id)).out == "Ended 1 other session.\n"
    assert run_me(world, anna, "sessions", "end", "--others").out == "Ended 1 other session.\n"
    over = world.run(sessions.ended_among, [row.session_id for row in (anna, first, second, stranger)])
    assert over.keys() == {first.session_id, second.session_id}
    assert world.events(last=2) == ["session.ended_by_user"] * 2


@pytest.mark.feature("me-forget")
def test_remembered_addresses(world, anna):
    """One is forgotten, or all."""
    assert run_me(world, anna, "forget").out == "No address is remembered.\n"
    models.Account.update(remember_days=3).execute()
    for last in (7, 8, 9):
        world.clock.forward(minutes=1)
        world.session("anna", address=f"192.0.2.{last}")
    assert run_me(world, anna, "forget", "192.0.2.1").err == "twofold: That address is not remembered.\n"
    assert run_me(world, anna, "forget", "192.0.2.8").status == 0
    left = {row.address for row in models.RememberedAddress.select()}
    assert left == {"192.0.2.7", "192.0.2.9"}
    assert run_me(world, anna, "forget").out == "Forgotten. You will be asked for a code there again.\n"
    assert not models.RememberedAddress.select().exists()
    assert world.events(last=1) == ["address.forgotten"]


def is_fresh(world: World, me: Member) -> bool:
    at = models.Session.get_by_id(me.session_id).fresh_at
    return world.clock.now - at < timedelta(minutes=5)


@pytest.mark.feature("me-confirm")
def test_confirming_with_a_code(world, anna):
    """From a terminal or standard input; wrong ones count, and how many are left is said."""
    stale(world)
    wrong = world.wrong_code("anna")
    told = run_me(world, anna, "confirm", types=[wrong, "hello", world.live_code("anna")], columns=40)
    assert (told.status, told.out) == (0, "Confirmed.\n")
    assert told.is_readable()
    flat = " ".join(told.err.split())
    for words in ("Type your app's code, or a recovery code.", "Wrong code, 6 attempts left.", "not a code"):
        assert words in flat
    assert is_fresh(world, anna)
    assert world.events(last=2) == ["signin.code_wrong", "signin.code_fresh"]

    stale(world)
    piped = run_me(world, anna, "confirm", stdin=world.wrong_code("anna").encode())
    assert (piped.status, piped.out) == (1, "")
    assert piped.err.endswith("Not confirmed. Nothing was changed.\n")
    assert not is_fresh(world, anna)
    assert run_me(world, anna, "confirm", stdin=world.live_code("anna").encode()).out == "Confirmed.\n"
    assert is_fresh(world, anna)


@pytest.mark.feature("me-confirm")
def test_confirming_until_locked(world, anna):
    told = run_me(world, anna, "confirm", types=[world.wrong_code("anna") for _ in range(7)])
    assert told.status == 1
    assert told.err.endswith("Ask a system administrator to unlock you.\n")
    assert world.row("anna").locked_at is not None
    assert run_me(world, anna).status == 1


@pytest.mark.feature("me-confirm")
def test_confirming_with_the_password(world):
    """It is the proof of a user without a second factor, and is not shown."""
    me = world.session("boris")
    stale(world)
    told = run_me(world, me, "confirm", types=["not that", PASSWORD])
    assert (told.status, told.out) == (0, "Confirmed.\n")
    assert "Wrong password." in told.err
    assert PASSWORD not in told.all
    assert is_fresh(world, me)
    stale(world)
    assert run_me(world, me, "confirm", stdin=f"{PASSWORD}\n".encode()).status == 0


@pytest.mark.feature("me-confirm")
async def test_confirming_with_a_sent_code(world, anna):
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email("anna", anna)
    world.clock.forward(hours=2)
    async with mail_server() as mail:
        carriers = Carriers(Smtp(HOST, mail.port, "twofold@clinic.example", "none"))
        types = ["e", lambda _: mail.code]
        told = await asyncio.to_thread(
            run_me, world, anna, "confirm", types=types, columns=40, carriers=carriers
        )
    assert (told.status, told.out) == (0, "Confirmed.\n")
    assert told.is_readable()
    flat = " ".join(told.err.split())
    for words in ("e to get a code by e-mail", "A code was sent by e-mail to a•••@clinic.example."):
        assert words in flat


@pytest.mark.feature("me-confirm")
def test_a_stale_session_confirms_first(world, anna):
    stale(world)
    told = run_me(world, anna, "key", "add", types=[KEY, world.live_code("anna")])
    assert told.status == 0
    assert told.says("Confirm it's you. Type your app's code, or a recovery code.")
    assert world.events(last=2) == ["signin.code_fresh", "key.added"]


@pytest.mark.feature("me-password")
@pytest.mark.parametrize("how", ["finish", "wait"])
def test_ctrl_c_during_a_change(world, anna, how):
    """What changes something is told as done, since it was; what only waits is cancelled."""

    def act(here: MemberCaller) -> None:
        interruption = streams().interruption

        async def change() -> Done:
            interruption.set(KeyboardInterrupt())
            await asyncio.sleep(0 if how == "finish" else 60)
            return Done("Password changed.")

        say(getattr(here, how)(change))

    shown = run_me(world, anna, act=act)
    assert (shown.out, "Cancelled." in shown.err) == (
        ("Password changed.\n", False) if how == "finish" else ("", True)
    )
