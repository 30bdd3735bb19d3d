"""The map of keys: an act has one key and a key one act, on all screens, in the help and in the manual."""

import importlib
import pkgutil
import re
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from support.app_driver import opened
from support.database import OPERATOR, World
from textual.binding import Binding
from textual.dom import DOMNode

import tui.dialogs
import tui.screens
import tui.widgets
from data.operations.applications import registry
from data.operations.signin.admission import MustEnrol
from data.operations.targets import registry as targets
from data.operations.users import credentials
from data.rules.applications import Asks, NewApplication, Protocol
from data.rules.domain_types import Method, Mode
from data.rules.targets import NewTarget
from data.storage import models
from tui import manual
from tui.app import TwofoldApp
from tui.keys import Act

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP2Gt0Y9mkCtLMUxOJjTkzyqRuvqgSGfjATVoLEbMXX1 anna@laptop"
TWO_MEANINGS = {("n", frozenset({Act.NEW, Act.NO})), ("q", frozenset({Act.SIGN_OUT, Act.QR_CODE}))}
"""The only letters that mean two acts, never on one screen."""


def bindings_of(kind: type) -> list[Binding]:
    """Return what a class and its bases in `tui` bind; of two for one key, the more special one."""
    found: dict[str, Binding] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("tui."):
            for binding in vars(base).get("BINDINGS", ()):
                found.setdefault(binding.key, binding)
    return list(found.values())


def binding_classes() -> list[type[DOMNode]]:
    """Return every screen, dialog and widget of `tui`, and the app."""
    for package in (tui.screens, tui.dialogs, tui.widgets):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: list[type[DOMNode]] = [TwofoldApp]
    waiting: list[type[DOMNode]] = [DOMNode]
    while waiting:
        children = waiting.pop().__subclasses__()
        waiting += children
        found += [child for child in children if child.__module__.startswith("tui.") and child not in found]
    return [kind for kind in found if bindings_of(kind)]


@pytest.mark.feature("key-map")
def test_every_binding_is_of_the_map():
    """Each act of the map is bound, too."""
    kinds = binding_classes()
    assert {binding.id for kind in kinds for binding in bindings_of(kind)} == set(Act.__members__)
    for kind in kinds:
        for binding in bindings_of(kind):
            act = Act.__members__.get(binding.id or "")
            assert act is not None, f"{kind.__name__} binds {binding.key} by itself"
            assert binding.key.startswith(act.key), kind
            assert binding.key_display == act.shown, kind
            assert binding.description in act.labels, kind


@pytest.mark.feature("key-map")
def test_a_key_means_one_act_and_a_label_too():
    assert len(Act) == len(Act.__members__)
    acts = defaultdict(set)
    for act in Act:
        acts[act.key].add(act)
    assert {(key, frozenset(several)) for key, several in acts.items() if len(several) > 1} == TWO_MEANINGS
    labels = Counter(label for act in Act for label in act.labels)
    assert [label for label, times in labels.items() if times > 1] == []


@pytest.mark.feature("key-map")
def test_no_screen_has_two_acts_on_a_key_or_two_keys_for_an_act():
    for kind in binding_classes():
        assert len({binding.action for binding in bindings_of(kind)}) >= len(bindings_of(kind)) - 1, kind
        declared = [
            (binding.key, binding.id)
            for base in kind.__mro__
            if base.__module__.startswith("tui.")
            for binding in vars(base).get("BINDINGS", ())
        ]
        acts = defaultdict(set)
        for key, act in declared:
            acts[key].add(act)
        assert not [several for several in acts.values() if len(several) > 1], kind


@pytest.mark.feature("key-map")
def test_the_manual_lists_the_map():
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*)\|$", manual.page("keys"), re.MULTILINE)
    assert sorted((shown, name) for shown, name, _ in rows) == sorted(
        (act.shown, act.labels[0]) for act in Act
    )


async def lists_every_key(person) -> None:
    """The help lists all keys that the screen, its table and the app have and offer."""
    screen = person.app.screen
    nodes = [*(person.app.focused.ancestors_with_self if person.app.focused else [screen, person.app])]
    wanted = {
        (act.shown, binding.tooltip or binding.description)
        for node in nodes
        for binding in bindings_of(type(node))
        if (act := Act[binding.id])
        and not (node is not screen and binding.key in {own.key for own in bindings_of(type(screen))})
        and person.app._check_action_state(binding.action, node) is not False
    }
    await person.presses("question_mark")
    await person.sees("Keys on this screen")
    shown = " ".join(person.front.split())
    listed = re.split(r"(?<=\S) (?=\S)", shown)
    for key, words in wanted:
        assert key in listed, (type(screen), key, shown)
        assert words.split()[0] in listed, (type(screen), words)
    await person.presses("escape")
    await person.sees_no_more("Keys on this screen")


@pytest.mark.feature("key-map")
async def test_the_help_lists_every_key_of_every_main_screen(world: World):
    world.run(registry.add_application, OPERATOR, NewApplication("vpn", Protocol.HTTP, Asks.CODE))
    world.run(targets.add_target, OPERATOR, NewTarget("db1", "10.0.0.5"))
    async with opened(world, "admin", size=(120, 60)) as person:
        await person.sees("2 Users")
        for keys, words in (
            ("0", "Sign-ins, 30 days"),
            ("1", "How it works"),
            ("2", "4 users"),
            ("enter", "Attempts left"),
            ("w", "Can admin sign in?"),
            ("3", "(•) Optional"),
            ("4", "newest first"),
            ("5", "1 practice"),
            ("6", "session"),
            ("7", "1 application"),
            ("8", "1 target"),
        ):
            await person.presses(keys)
            await person.sees(words)
            await lists_every_key(person)


@pytest.mark.feature("key-map")
async def test_the_help_lists_every_key_of_the_wizard(world: World):
    world.methods(Method.APP, Method.SMS)
    object.__setattr__(world.services, "sms_number", "+49301234567")
    world.mode(Mode.REQUIRED)
    async with opened(world, session=world.restricted("anna", MustEnrol), size=(120, 60)) as person:
        for keys, words in (
            ((), "How do you want to get codes?"),
            (("down", "enter"), "Choose how to verify your phone number"),
            (("down", "enter"), "Send this code"),
            (("escape", "escape", "enter"), "Step 1 of 4"),
            (("enter",), "Step 2 of 4"),
        ):
            for key in keys:
                await person.presses(key)
            await person.sees(words)
            await lists_every_key(person)


@pytest.mark.feature("keys-on-rows")
async def test_what_works_on_a_user_works_in_the_table(world: World):
    """On the row under the cursor."""
    world.enrol("anna")
    world.run(credentials.add_key, OPERATOR, KEY, name="anna")
    now = world.clock.now
    models.RememberedAddress.create(
        user=world.row("anna"), address="::1", credential="", accepted_at=now, until=now + timedelta(days=1)
    )
    async with opened(world, "admin", size=(120, 40)) as person:
        await person.sees("4 users")
        await person.presses("down")
        for key, words in (
            ("r", "Require 2FA for anna?"),
            ("l", "Clear the 2FA data of anna?"),
            ("d", "Disable 2FA for anna?"),
            ("p", "New one-time password for anna?"),
            ("e", "Edit anna"),
            ("o", "Roles of anna"),
            ("a", "Deactivate anna?"),
            ("k", "Add an SSH key"),
            ("j", "Offer anna a resync?"),
            ("w", "Can anna sign in?"),
            ("g", "Forget which address?"),
            ("x", "Remove which SSH key?"),
        ):
            await person.presses(key)
            await person.sees(words)
            await person.presses("escape")
            await person.sees_no_more(words)
