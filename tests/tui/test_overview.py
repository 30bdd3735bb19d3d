"""The overview: the account at a glance, and a jump to what is behind each line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.app_driver import Person, make_app, opened, screen_cells, sign_in
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM
from textual.filter import NoColor
from textual.widgets import OptionList

from data.operations.audit import trail
from data.operations.policy import policy_settings
from data.operations.policy.overview import StatusCounts
from data.operations.signin.admission import Admitted
from data.operations.users import factor_administration, practices
from data.rules import throttle
from data.rules.audit_events import Event
from data.rules.domain_types import Method, Mode
from data.rules.source_addresses import ON_HOST
from data.storage import models
from sshserver.terminal.capabilities import Colours, Terminal
from tui.themes import DARK, HIGH_CONTRAST, LIGHT, SIXTEEN
from tui.widgets.adoption import in_short, stacked


@pytest.fixture
def clinic(world):
    """A clinic in which something needs attention, and people of every status."""
    world.run(practices.add_practice, OPERATOR, "North")
    world.run(practices.move_user, OPERATOR, "anna", "North")
    world.user("boss", SYSTEM)
    world.enrol("anna")
    world.enrol("boris")
    world.lock("boris")
    return world


def on_overview(world, name="admin", **options):
    return opened(world, name, first="", **options)


@pytest.mark.feature("overview")
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 20)])
async def test_account_at_one_look(clinic, size):
    async with on_overview(clinic, size=size) as person:
        shown = await person.sees(
            "0 Overview",
            "2 of 5 people with 2FA mode optional",
            "● Enabled 2",
            "◐ Pending 1",
            "○ No 1",
            "✗ Locked 1",
            "Practices",
            "Roles",
            "Sign-ins, 30 days",
            "Refused second factors",
            "Needs attention",
            "✗ 1 person is locked.",
            "! 1 system administrator has no second factor.",
            "! There is only one security administrator.",
        )
        flat = [" ".join(line.split()) for line in shown.split("\n")]
        assert any(line.startswith("Main") and " 1 1 1 1" in line for line in flat)
        assert any(line.startswith("North") and " 1 0 0 0" in line for line in flat)
        assert any(line.endswith("1 1 0 0") and "system" in line for line in flat)
        assert "╻ ╻┏━┓" in shown  # The share in large digits: 40%.
        heading = next(line for line in flat if line.startswith("Sign-ins"))
        assert heading.endswith(" 7")


@pytest.mark.feature("overview-first")
async def test_first_screen_of_who_holds_a_role(clinic):
    clinic.user("sue", SUPPORT)
    clinic.enrol("sue")
    async with on_overview(clinic, "sue") as person:
        await person.sees("Needs attention", "✗ 1 person is locked.")
        await person.presses("1")
        await person.sees("Recovery codes 5 left")
        await person.presses("0")
        await person.sees("Needs attention")
        await person.clicks("2 Users")
        await person.sees("6 users")
        await person.clicks("0 Overview")
        await person.sees("Needs attention")
    async with on_overview(clinic, "carla") as person:
        await person.sees("1 M", "How it works")
        await person.presses("0")
        assert "Overview" not in await person.sees("How it works")


@pytest.mark.feature("overview-jumps")
async def test_lines_lead_to_the_lists_behind_them(clinic):
    async with on_overview(clinic) as person:
        await person.sees("✗ 1 person is locked.")
        await person.presses("enter")
        await person.sees("1 user", "boris")
        await person.presses("0")
        await person.sees("✗ 1 person is locked.")
        await person.presses("down", "enter")
        await person.sees("1 user", "boss", "Pending setup")
        await person.presses("0")
        await person.clicks("only one security administrator")
        await person.sees("1 user", "admin", "Enabled")
        await person.presses("escape")
        await person.sees("5 users")


@pytest.mark.feature("overview-jumps")
async def test_who_waits_too_long_or_has_few_codes(world):
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    world.enrol("boris")
    for code in world.recovery["boris"][:3]:
        assert isinstance(world.submit(world.attempt("boris"), code), Admitted)
    world.clock.forward(days=15)
    world.run(factor_administration.set_required, OPERATOR, "carla", required=True)
    async with on_overview(world) as person:
        await person.sees("! 1 person has been pending for more than 14 days.")
        await person.clicks("1 person has been pending")
        await person.sees("1 user", "anna")
        assert not {"boris", "carla"} & set(person.screen.split())
        await person.presses("0")
        await person.sees("! 1 person has 2 or fewer recovery codes.")
        await person.clicks("2 or fewer recovery codes")
        await person.sees("1 user", "boris")
        assert not {"anna", "carla"} & set(person.screen.split())


@pytest.mark.feature("overview-jumps")
async def test_failed_deliveries_lead_to_the_log(world):
    world.methods(Method.APP, Method.EMAIL)

    def fail(tx):
        account = models.Account.get().id
        for name in ("anna", "carla"):
            trail.write(
                tx, Event.CODE_NOT_SENT, ON_HOST, account_id=account, actor=name, user=name, method="e-mail"
            )

    world.run(fail)
    async with on_overview(world) as person:
        await person.sees("! 2 codes could not be delivered since yesterday.")
        await person.clicks("2 codes could not be")
        await person.sees("Codes not sent · All time · newest first", "anna", "carla")
        assert "Signed in" not in person.screen


@pytest.mark.feature("overview-jumps")
async def test_what_doctor_found_is_said_with_what_to_do(world):
    world.mode(Mode.OFF)
    async with on_overview(world) as person:
        await person.sees("! The mode is off.")
        await person.clicks("The mode is off.")
        await person.sees("Found by twofold doctor", "twofold policy set --mode optional")
        await person.presses("escape")
        await person.sees("Needs attention")


@pytest.mark.feature("needs-attention")
async def test_user_whose_password_is_guessed(world):
    for number in range(throttle.MANY_OF_NAME):
        world.first("boris", "wrong", address=f"198.51.100.{number}")
    async with on_overview(world) as person:
        await person.sees("! Passwords are being guessed for: boris.")
        await person.clicks("Passwords are being guessed")
        await person.sees("Passwords are being guessed for: boris. This locks no one.")


@pytest.mark.feature("overview")
async def test_mode_off(clinic):
    clinic.mode(Mode.OFF)
    async with on_overview(clinic) as person:
        await person.sees("2FA is off. No one is asked for a code. See 3 Security.", "Set up 2")
        await person.resizes(60, 20)
        await person.sees("2FA is off. See 3 Security.", "Set up 2")


@pytest.mark.feature("overview")
async def test_account_with_one_person(world):
    for name in ("anna", "boris", "carla"):
        world.set(name, active=False)
    async with on_overview(world) as person:
        await person.sees(
            "1 of 1 person with 2FA", "First steps", "→ Add people, one at a time or from a list"
        )
        await person.presses("enter")
        await person.sees("4 users")
    models.UserRole.delete().where(models.UserRole.role == SYSTEM).execute()
    async with on_overview(world) as person:
        await person.sees("1 of 1 person with 2FA", "There is only one security administrator.")
        assert "Add people" not in person.screen


@pytest.mark.feature("overview")
async def test_account_in_which_nobody_else_has_begun(world):
    async with on_overview(world) as person:
        await person.sees("1 of 4 people with 2FA", "→ No one else has set up 2FA yet. See everyone: 2 Users")


async def test_nothing_needs_attention(world):
    world.enrol(world.user("boss", SYSTEM, SECURITY))
    async with on_overview(world) as person:
        await person.sees("✓ Nothing needs attention.")
        await person.presses("down", "enter")
        await person.clicks("Nothing needs attention")
        await person.sees("0 Overview", "✓ Nothing needs attention.")


@pytest.mark.feature("overview-live")
async def test_change_by_someone_else(clinic):
    """It is seen, and the cursor stays on its line."""
    async with on_overview(clinic) as person:
        await person.sees("✗ 1 person is locked.")
        await person.presses("down")
        chosen = person.app.screen.query_one(OptionList)
        assert "system administrator" in str(chosen.highlighted_option.prompt)
        clinic.run(factor_administration.unlock, OPERATOR, "boris", "a slip")
        await person.sees_no_more("is locked")
        await person.sees("3 of 5 people with 2FA")
        assert "system administrator" in str(chosen.highlighted_option.prompt)
        clinic.run(policy_settings.set_mode, OPERATOR, Mode.REQUIRED, seen=Mode.OPTIONAL)
        await person.sees("mode required", "◐ Pending 2")


@pytest.mark.feature("overview")
async def test_many_practices(world):
    """The largest are shown, and how many others there are; more room shows more."""
    for number in range(40):
        world.run(practices.add_practice, OPERATOR, f"Practice {number:02}")
        world.run(practices.move_user, OPERATOR, world.user(f"user{number:02}"), f"Practice {number:02}")
    for name in ("anna", "boris"):
        world.run(practices.move_user, OPERATOR, name, "Practice 33")
    async with on_overview(world) as person:
        shown = await person.sees("Main", "Practice 33", "more")
        few = shown.count("Practice ")
        assert f"and {40 - few} more" in shown
        await person.resizes(120, 40)
        shown = await person.sees("Practice 33", "Practice 07", "more")
        assert f"and {40 - shown.count('Practice ')} more" in shown
        await person.resizes(200, 60)
        await person.sees("Practice 39")
        assert "more" not in person.screen


@pytest.mark.parametrize("theme", [DARK, LIGHT, HIGH_CONTRAST, SIXTEEN])
async def test_statuses_differ_by_more_than_colour(clinic, theme):
    async with on_overview(clinic) as person:
        await person.sees("Needs attention")
        person.app.theme = theme
        shown = await person.sees("● Enabled 2")
        bar = shown.split("\n")[3].split()[-1]
        assert list(dict.fromkeys(bar)) == ["▆", "▄", "▁", "✗"]


async def test_without_colour(clinic):
    """The cursor's line and the present tab stand out by style alone."""
    app = make_app(clinic, sign_in(clinic, "admin"), Terminal(colours=Colours.NONE))
    app.no_color = True
    app._filters.append(NoColor())
    async with app.run_test(size=(80, 24)) as pilot:
        await Person(app, pilot, clinic).sees("Needs attention", "✗ 1 person is locked.")
        lines = screen_cells(app)
        for words, stands_out in (("Overview", True), ("is locked", True), ("only one", False)):
            part = next(part for line in lines for part in line if words in part.text)
            assert part.style is not None
            assert bool(part.style.reverse or part.style.underline) == stands_out


counts = st.builds(StatusCounts, *[st.integers(0, 3) | st.integers(0, 2_000_000)] * 4)


@given(counts, st.integers(6, 120))
def test_bar_is_as_wide_as_its_room(counted, width):
    """Whatever there is has a cell, and nothing else has."""
    bar = stacked(counted, width).plain
    assert len(bar) == width
    if counted.total:
        assert [fill in bar for fill in "▆▄▁✗"] == [part > 0 for part in counted.by_status]


@given(st.integers(0, 999 * 10**9))
def test_counts_in_short(count):
    shown = in_short(count)
    assert len(shown) <= 4
    number, unit = float(shown.rstrip("kMG")), shown[-1] if shown[-1] in "kMG" else " "
    assert abs(number * 1_000 ** " kMG".index(unit) - count) <= count / 18
