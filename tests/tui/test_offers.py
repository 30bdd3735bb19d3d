"""On every screen, for every role and status: what is offered can be done, and what can be done is offered.

Whether something can be done is found out by doing it, in a transaction that is undone.
"""

import asyncio
from dataclasses import replace

import pytest
from support.app_driver import Person, opened
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World, undone
from textual.widgets import Checkbox, RadioButton, RadioSet

from data.operations.actors import Member
from data.operations.applications import registry
from data.operations.policy import delivery_tests, policy_settings
from data.operations.results import Denied, FreshProofNeeded, SessionOver
from data.operations.signin import enrolment, recovery_codes, remembered_addresses, sessions
from data.operations.targets import registry as targets
from data.operations.users import (
    bulk_actions,
    credentials,
    factor_administration,
    invitations,
    lifecycle,
    practices,
    principals,
    role_grants,
    temporary_codes,
    user_import,
)
from data.operations.users.bulk_actions import Bulk
from data.rules import public_keys
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.domain_types import Method, Mode, PolicyNotice, Role
from data.rules.targets import NewTarget
from data.storage import models
from tui.command_palette import TwofoldCommands
from tui.screens.user_detail import UserDetailScreen
from tui.widgets.action_bar import ActionBar, WhoCan
from tui.widgets.key_line import KeyLine
from tui.widgets.paged_table import PagedTable

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
FINGERPRINT = public_keys.parse(KEY).fingerprint
PATIENCE = 60
"""Seconds after which a screen that has not read anything never will."""
BOTH = (SYSTEM, SECURITY)
ADMINS = {
    "support": (SUPPORT,),
    "system": (SYSTEM,),
    "security": (SECURITY,),
    "both": BOTH,
    "bare": BOTH,
}
"""Those who look at the others; nobody asked the last for a second factor, because the mode was off."""
USERS = ("none", "enrolled", "required", "locked", "gone", "new", "helper", "sysop", "secop")


def changed_roles(world: World, me: Member, name: str, role: Role):
    """Give a user a role, or take it away."""
    user = world.row(name)
    held = frozenset(Role(row.role) for row in models.UserRole.select().where(models.UserRole.user == user))
    return world.run(role_grants.set_roles, me, name, held ^ {role})


def any_role(world: World, me: Member, name: str):
    results = []
    for role in Role:
        with undone(world):
            results.append(changed_roles(world, me, name, role))
    return next((result for result in results if not isinstance(result, Denied)), results[0])


# Each act on a user, by the name of its action.
ON_USER = {
    "require": lambda world, me, name: world.run(factor_administration.set_required, me, name, required=True),
    "stop_requiring": lambda world, me, name: world.run(
        factor_administration.set_required, me, name, required=False
    ),
    "disable": lambda world, me, name: world.run(factor_administration.disable_two_factor, me, name),
    "clear": lambda world, me, name: world.run(factor_administration.clear_two_factor, me, name),
    "unlock": lambda world, me, name: world.run(factor_administration.unlock, me, name, "a slip"),
    "one_time_password": lambda world, me, name: world.one_time_password(name, me),
    "temporary_code": lambda world, me, name: world.run(temporary_codes.make_temporary_code, me, name),
    "invite": lambda world, me, name: world.run(invitations.invite, me, name),
    "remind": lambda world, me, name: world.run(invitations.remind, me, name),
    "deactivate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=False),
    "activate": lambda world, me, name: world.run(lifecycle.set_active, me, name, active=True),
    "edit": lambda world, me, name: world.run(
        lifecycle.edit_user, me, name, lifecycle.UserChanges(full_name="Someone Else")
    ),
    "move": lambda world, me, name: world.run(practices.move_user, me, name, "North"),
    "roles": any_role,
    "principals": lambda world, me, name: world.run(principals.add_principal, me, name, "deploy"),
    "add_key": lambda world, me, name: world.run(credentials.add_key, me, OTHER_KEY, name=name),
    "remove_key": lambda world, me, name: world.run(credentials.remove_key, me, FINGERPRINT, name=name),
    "resync": lambda world, me, name: world.run(factor_administration.offer_resync, me, name),
    "forget": lambda world, me, name: world.run(factor_administration.forget_addresses, me, name),
}
ON_MARKED = {
    "require": Bulk.REQUIRE,
    "disable": Bulk.DISABLE,
    "clear": Bulk.CLEAR,
    "unlock": Bulk.UNLOCK,
    "one_time_password": Bulk.PASSWORD,
    "deactivate": Bulk.DEACTIVATE,
    "move": Bulk.MOVE,
    "invite": Bulk.INVITE,
    "remind": Bulk.REMIND,
}
# What users do to their own things.
ON_ONESELF = {
    "set_up": lambda world, me: world.run(enrolment.wizard_choice, me),
    "turn_off": lambda world, me: world.run(enrolment.turn_off, me),
    "recovery_codes": lambda world, me: world.run(recovery_codes.renew_recovery_codes, me),
    "add_key": lambda world, me: world.run(credentials.add_key, me, OTHER_KEY),
    "remove_key": lambda world, me: world.run(credentials.remove_key, me, FINGERPRINT),
    "forget": lambda world, me: world.run(remembered_addresses.forget_my_addresses, me),
    "end_sessions": lambda world, me: world.run(sessions.end_my_sessions, me),
}
VPN = NewApplication("vpn", Protocol.HTTP, Asks.CODE)
DB1 = NewTarget("db1", "10.0.0.5")
ON_APPLICATION = {
    "rotate": registry.rotate_secret,
    "disable": registry.disable_application,
    "enable": registry.enable_application,
    "remove": registry.remove_application,
}
SETTING_UP = {"set_up": "Set up 2FA", "replace_phone": "Replace the phone", "change_methods": "Methods"}


def possible(world: World, perform, *args) -> bool:
    """Do something, undo it, and return whether it was done."""
    with undone(world):
        result = perform(world, *args)
    assert not isinstance(result, FreshProofNeeded | SessionOver), result
    return not isinstance(result, Denied)


def does_something(world: World, act: str, name: str) -> bool:
    """Whether there is anything for an act to remove."""
    user = world.row(name)
    addresses = models.RememberedAddress.select().where(models.RememberedAddress.user == user)
    if act == "forget":
        return addresses.exists()
    tables = (models.Factor, models.RecoveryCode)
    has = addresses.exists() or any(table.select().where(table.user == user).exists() for table in tables)
    return has or (act == "disable" and (user.required or user.lost_factor))


def possible_on(world: World, me: Member, name: str, acts) -> set[str]:
    return {
        act
        for act, perform in acts.items()
        if possible(world, perform, me, name)
        and (act not in ("disable", "clear", "forget") or does_something(world, act, name))
    }


def offered(person: Person) -> set[str]:
    """Return the actions that the screen offers: the same in all places, if not all in each."""
    screen = person.app.screen
    listed = {words: action for _, words, action in screen.commands()}
    footer = {binding.action for _, binding, _, _ in screen.active_bindings.values() if binding.show}
    assert footer & {action.split("(")[0] for action in ON_USER} <= set(listed.values())
    shown = {key.words for key in screen.query_one(KeyLine)._pressable()}
    assert shown == {
        binding.description for _, binding, _, _ in screen.active_bindings.values() if binding.show
    }
    palette = {words for words, _, _ in TwofoldCommands(screen)._commands()}
    assert set(listed) <= palette
    for bar in screen.query(ActionBar):
        assert {offer.action for offer in bar._offers} <= set(listed.values())
    return set(listed.values())


def build(world: World) -> None:
    """Fill a clinic with users of every status, with an administrator of each kind."""
    parsed = public_keys.parse(KEY)
    for name, roles in {**ADMINS, "helper": (SUPPORT,), "sysop": (SYSTEM,), "secop": (SECURITY,)}.items():
        world.user(name, *roles)
        if name != "bare":
            world.enrol(name)
    for name in ("none", "gone", "enrolled", "locked"):
        world.user(name, key=parsed if name == "enrolled" else None)
    world.user("required", required=True)
    world.user("new", password=None)
    world.enrol("enrolled")
    world.enrol("locked")
    world.lock("locked")
    world.set("gone", active=False)
    world.run(practices.add_practice, OPERATOR, "North")
    for name in ("vpn", "halted", "guessing"):
        world.run(registry.add_application, OPERATOR, replace(VPN, name=name))
    world.run(registry.disable_application, OPERATOR, "halted")
    world.run(targets.add_target, OPERATOR, DB1)
    suspended = models.Application.update(suspended_at=world.clock.now)
    suspended.where(models.Application.name == "guessing").execute()
    models.Account.update(remember_days=3).execute()
    remember(world, "enrolled")


def remember(world: World, name: str) -> None:
    models.RememberedAddress.create(
        user=world.row(name),
        address="192.0.2.9",
        credential=FINGERPRINT,
        accepted_at=world.clock.now,
        until=world.clock.now.replace(year=2030),
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    clinic = World(tmp_path_factory.mktemp("offers"))
    build(clinic)
    clinic.close()
    return clinic


@pytest.fixture
def peopled(tmp_path, built):
    clinic = World(tmp_path, like=built)
    yield clinic
    clinic.close()


async def goes_to(person: Person, tab: str) -> None:
    """Go to a main screen and wait until it has read."""
    before = person.app.screen
    person.app.open_tab(tab)
    async with asyncio.timeout(PATIENCE):
        while person.app.screen is before:
            await asyncio.sleep(0.002)
    await settles(person)


async def settles(person: Person) -> None:
    """Wait until the screen in front has read what it shows."""
    async with asyncio.timeout(PATIENCE):
        while is_busy(person) or not has_read(person.app.screen):
            await asyncio.sleep(0.002)


def is_busy(person: Person) -> bool:
    return any(not worker.is_finished and worker.group != "following" for worker in person.app.workers)


def has_read(screen) -> bool:
    kept = ("page", "view", "profile", "_acts")
    return screen.is_mounted and all(getattr(screen, name, True) is not None for name in kept)


def says(person: Person) -> str:
    """Return who can do what is not offered, as the screen words it."""
    return " ".join(str(line.content) for line in person.app.screen.query(WhoCan) if line.display)


def modes_of(who: str) -> list[Mode]:
    """Return the modes in which what someone may do differs from what others see in them."""
    few = {"bare": [Mode.OFF], "both": [Mode.OPTIONAL], "system": [Mode.OFF, Mode.OPTIONAL, Mode.PERMANENT]}
    return few.get(who, list(Mode))


@pytest.mark.feature("offered-acts")
@pytest.mark.parametrize("who", ADMINS)
async def test_administrators_are_offered_what_they_can_do(peopled, who):
    world = peopled
    if who == "bare":
        world.mode(Mode.OFF)
    async with opened(world, who, size=(80, 60)) as person:
        await person.sees("2 Users", "none")
        me = Member(person.app.session.id)
        for mode in modes_of(who):
            world.mode(mode)
            truth = {name: possible_on(world, me, name, ON_USER) for name in (*USERS, who)}
            await walks_users(person, me, who, truth)
            await walks_details(person, me, who, truth, mode)
            await walks_security(person, me, mode)
            await walks_sessions_and_practices(person, me)
            await goes_to(person, "activity")
            assert offered(person) & set(ON_USER) == set()
        await walks_applications(person, me)
        await walks_targets(person, me)


async def walks_users(person: Person, me: Member, who: str, truth: dict[str, set[str]]) -> None:
    """Look at the table with the cursor on each user, and then with one marked."""
    world = person.world
    await goes_to(person, "profile")
    await goes_to(person, "users")
    screen = person.app.screen
    table = screen.query_one(PagedTable)
    assert {row.name for row in table._page} >= set(truth)
    may_add = possible(world, lambda world: world.run(lifecycle.create_user, me, newcomer()))
    bulk = {
        action
        for action, act in ON_MARKED.items()
        if possible(world, lambda world, act=act: world.run(bulk_actions.act_on_many, me, (), act))
    }
    for number, row in enumerate(table._page):
        if row.name in truth:
            table.move_cursor(number)
            found = offered(person)
            assert found & set(ON_USER) == truth[row.name] & set(ON_USER), (who, row.name)
            assert ("new" in found, "import" in found, "mark" in found) == (may_add, may_add, bool(bulk))
    staged = possible(world, lambda world: world.run(user_import.stage_people, me, None, ()))
    assert staged == may_add
    assert bool(says(person)) == (not may_add)
    if bulk:
        await person.presses("home", "space")
        assert offered(person) & {*ON_MARKED, "stop_requiring", "activate"} == bulk
        await person.presses("escape")
    if may_add:
        await person.presses("n")
        await person.sees("New user")
        assert ticks(person) == {
            role.value
            for role in Role
            if possible(world, lambda world, role=role: world.run(lifecycle.create_user, me, newcomer(role)))
        }
        await person.presses("escape")
        await settles(person)


def newcomer(*roles: Role) -> lifecycle.NewUser:
    return lifecycle.NewUser("newcomer", "newcomer@clinic.example", roles=frozenset(roles))


def ticks(person: Person) -> set[str]:
    return {box.name for box in person.app.screen.query(Checkbox) if box.display and not box.disabled}


async def walks_details(person: Person, me: Member, who: str, truth: dict[str, set[str]], mode: Mode) -> None:
    """Open each user once, in every mode some of them, and of some the dialog about their roles."""
    world = person.world
    for name, can in truth.items():
        if mode is not Mode.OPTIONAL and who != "bare" and name not in ("none", "locked", who):
            continue
        await person.app.push_screen(UserDetailScreen(name))
        await settles(person)
        found = offered(person)
        assert found & set(ON_USER) == can, (who, name, mode)
        assert "explain" in found
        bar = {offer.action for offer in person.app.screen.query_one(ActionBar)._offers}
        assert bar == can | {"explain"}
        if not {"require", "stop_requiring"} & can:
            assert says(person), (who, name)
        if "edit" in can and name == "none":
            await person.presses("e")
            labels = await person.sees("Edit none", "Full name")
            changes = lifecycle.UserChanges(email="other@clinic.example")
            changed = possible(
                world, lambda world, changes=changes: world.run(lifecycle.edit_user, me, "none", changes)
            )
            assert ("E-mail" in labels, "Phone" in labels) == (changed, changed)
            await person.presses("escape")
            await settles(person)
        if "roles" in can and mode is Mode.OPTIONAL:
            await person.presses("o")
            await person.sees(f"Roles of {name}")
            assert ticks(person) == {
                role.value for role in Role if possible(world, changed_roles, me, name, role)
            }
            await person.presses("escape")
            await settles(person)
        await person.app.pop_screen()
    assert not any("unlock" in can for can in truth.values()) or "unlock" in truth["locked"]


async def walks_security(person: Person, me: Member, mode: Mode) -> None:
    """Look at the modes, by key and as radio buttons, at the methods, the days and the test messages."""
    world = person.world
    await goes_to(person, "security")
    found = offered(person)
    on = frozenset({Method.APP})

    def set_mode(world: World, wanted: Mode):
        return world.run(policy_settings.set_mode, me, wanted, seen=mode, confirmation="Clinic")

    def unless_checked(world: World, wanted: Mode):
        """The checklist of permanent is read where it is chosen, so that is offered before it passes."""
        result = set_mode(world, wanted)
        return None if isinstance(result, Denied) and result.message.startswith("Not yet.") else result

    def set_methods(world: World, wanted: frozenset[Method]):
        return world.run(policy_settings.set_methods, me, wanted, seen=on)

    def set_notice(world: World, notice: PolicyNotice):
        on = notice is PolicyNotice.LOCKS
        return world.run(policy_settings.set_notice, me, notice, on=on)

    modes = {wanted.value for wanted in Mode if possible(world, unless_checked, wanted)}
    buttons = {button.name for button in person.app.screen.query(RadioButton) if button.display}
    assert buttons == (modes | {mode.value}) or not modes
    assert person.app.screen.query_one(RadioSet).display == bool(modes)
    assert "apply" not in found
    switched = {method.value for method in Method if possible(world, set_methods, on ^ {method})}
    switched |= {notice.value for notice in PolicyNotice if possible(world, set_notice, notice)}
    assert ticks(person) == switched
    assert ("methods" in found) == bool(switched)
    days = possible(world, lambda world: world.run(policy_settings.set_remember_days, me, 5, seen=3))
    assert ("remember_days" in found) == days
    to = "eva@elsewhere.example"
    test = possible(world, lambda world: world.run(delivery_tests.prepare_test, me, Method.EMAIL, to))
    assert ("test_delivery" in found) == test
    assert bool(says(person)) == (not days and mode is not Mode.PERMANENT)
    screen = person.app.screen
    pressed = screen.query_one(RadioSet)
    for wanted in modes:
        # The button of the mode before may still say that it was pressed, which chooses that one again.
        screen.chosen = Mode(wanted)
        async with asyncio.timeout(PATIENCE):
            while _pressed_name(pressed) != wanted or not screen._is_previewed(Mode(wanted)):
                await asyncio.sleep(0.002)
        await settles(person)
        assert ("apply" in offered(person)) == possible(world, set_mode, Mode(wanted)), wanted


def _pressed_name(buttons: RadioSet) -> str | None:
    """Return the mode of the pressed button; for a moment while another one is pressed there is none."""
    return buttons.pressed_button and buttons.pressed_button.name


async def walks_sessions_and_practices(person: Person, me: Member) -> None:
    world = person.world
    await goes_to(person, "sessions")
    table = person.app.screen.query_one(PagedTable)
    rows = [row for row in table._page if row.mine or row.user in ("enrolled", "helper")]
    assert len(rows) > 1
    for row in rows:
        table.move_cursor(table._page.index(row))
        ends = possible(world, lambda world, row=row: world.run(sessions.end_session_of, me, row.id))
        assert ("end" in offered(person)) == ends
    assert bool(says(person)) == (not ends and not row.mine)
    await goes_to(person, "practices")
    table = person.app.screen.query_one(PagedTable)
    manages = possible(world, lambda world: world.run(practices.add_practice, me, "South"))
    for number, row in enumerate(table._page):
        table.move_cursor(number)
        found = offered(person)
        removes = possible(world, lambda world, row=row: world.run(practices.remove_practice, me, row.name))
        gives = possible(
            world, lambda world, row=row: world.run(principals.add_practice_principal, me, row.name, "web")
        )
        assert ("new" in found, "rename" in found, "remove" in found) == (manages, manages, removes)
        assert ("principals" in found) == gives
    assert bool(says(person)) == (not manages)


async def walks_applications(person: Person, me: Member) -> None:
    world = person.world
    await goes_to(person, "applications")
    await person.sees("3 applications")
    adds = possible(world, lambda world: world.run(registry.add_application, me, replace(VPN, name="new")))
    for number, row in enumerate(person.app.screen.query_one(PagedTable)._page):
        person.app.screen.query_one(PagedTable).move_cursor(number)
        can = {
            action
            for action, operation in ON_APPLICATION.items()
            if possible(world, lambda world, of=operation, name=row.name: world.run(of, me, name))
        }
        can -= {"enable"} if row.name == "vpn" else {"disable"} if row.name == "halted" else set()
        found = offered(person)
        assert found & set(ON_APPLICATION) == can, row.name
        assert ("new" in found) == adds
    assert bool(says(person)) == (not adds)


async def walks_targets(person: Person, me: Member) -> None:
    world = person.world
    seen = possible(world, lambda world: world.run(targets.list_targets, me))
    assert ("targets" in [tab.name for tab in person.app.tabs()]) == seen
    if not seen:
        return
    await goes_to(person, "targets")
    await person.sees("1 target")
    adds = possible(world, lambda world: world.run(targets.add_target, me, replace(DB1, name="db2")))
    removes = possible(world, lambda world: world.run(targets.remove_target, me, "db1"))
    assert ("new" in offered(person), "remove" in offered(person)) == (adds, removes)
    assert bool(says(person)) == (not adds)


OWN = {
    "nothing": {},
    "enrolled": {"enrolled": True},
    "required": {"enrolled": True, "required": True},
    "two methods": {"enrolled": True, "methods": (Method.APP, Method.EMAIL)},
    "key alone": {"key": True, "password": False},
    "much": {"enrolled": True, "key": True, "remembered": True, "sessions": True},
}


@pytest.mark.feature("offered-acts")
@pytest.mark.parametrize("state", OWN)
async def test_users_are_offered_what_they_can_do_to_their_own_things(peopled, state):
    world, has = peopled, OWN[state]
    world.methods(*has.get("methods", (Method.APP,)))
    name = world.user("me", key=public_keys.parse(KEY) if has.get("key") else None)
    if has.get("enrolled"):
        world.enrol(name)
    if has.get("remembered"):
        remember(world, name)
    if has.get("sessions"):
        world.session(name)
    world.set(name, required=bool(has.get("required")))
    modes = list(Mode) if has.get("enrolled") else [Mode.OFF, Mode.OPTIONAL]
    async with opened(world, name, size=(80, 60)) as person:
        await person.sees("How it works")
        if has.get("password") is False:
            world.set(name, password_hash=None)
        me = Member(person.app.session.id)
        now = world.clock.now
        models.Session.update(fresh_at=now, code_at=now).where(models.Session.id == me.session_id).execute()
        for mode in modes:
            world.mode(mode)
            person.app.screen.profile = None
            person.app.screen.load()
            await settles(person)
            can = {act for act, perform in ON_ONESELF.items() if possible(world, perform, me)}
            if not does_something(world, "forget", name):
                can -= {"forget"}
            found = offered(person)
            assert found & (set(ON_ONESELF) - {"set_up"}) == can - {"set_up"}, mode
            assert {"password", "edit"} <= found
            setting_up = found & set(SETTING_UP)
            assert len(setting_up) == ("set_up" in can)
            methods = len(has.get("methods", (Method.APP,)))
            named = (
                "set_up" if not has.get("enrolled") else "replace_phone" if methods == 1 else "change_methods"
            )
            assert setting_up <= {named}
            footer = {key.words for key in person.app.screen.query_one(KeyLine)._pressable()}
            assert footer & set(SETTING_UP.values()) == {SETTING_UP[action] for action in setting_up}
            assert all(action in found for action in {offer.action for offer in _bar(person)})


def _bar(person: Person):
    return person.app.screen.query_one(ActionBar)._offers
