"""Applications are added, rotated, disabled and removed; a secret is shown once and kept nowhere."""

import json
import re
from dataclasses import replace

import pytest
from support.database import MASTER_KEY, OPERATOR, World

from data.operations.actors import Operator
from data.operations.applications import asking, registry
from data.operations.applications.registry import NewSecret, State
from data.operations.maintenance import accounts, doctor_facts, master_key
from data.operations.results import Denied, Done
from data.operations.users import lifecycle, practices
from data.rules.applications import (
    LOOPBACK,
    Asks,
    NewApplication,
    Protocol,
    ReplyAttribute,
    Told,
    split_answer,
)
from data.storage import models
from data.storage.vault import Vault, check_value_of

VPN = NewApplication("vpn", Protocol.RADIUS, Asks.CODE, networks=("10.0.0.5",), lenient=True)
PORTAL = NewApplication("Portal", Protocol.HTTP, Asks.PASSWORD_THEN_CODE, practices=("main",))


def add(world: World, new: NewApplication, actor=OPERATOR) -> str:
    made = world.run(registry.add_application, actor, new)
    assert isinstance(made, NewSecret), made
    return made.secret


@pytest.mark.feature("applications-managed")
def test_what_is_kept(world):
    add(world, VPN)
    add(world, PORTAL)
    portal, vpn = world.run(registry.list_applications, OPERATOR).rows
    assert (vpn.networks, vpn.practices, vpn.all_practices) == (("10.0.0.5/32",), (), True)
    assert (portal.name, portal.networks, portal.practices) == ("portal", LOOPBACK, ("Main",))
    assert (vpn.lenient, vpn.asks, vpn.state) == (True, Asks.CODE, State.ENABLED)
    assert world.run(registry.show_application, OPERATOR, "PORTAL") == portal
    assert world.events(last=2) == ["application.added"] * 2


def test_what_is_told_of_a_practice_is_not_told_of_one_that_gets_its_id(world):
    everyone = Told(ReplyAttribute.CLASS, "staff")
    north = Told(ReplyAttribute.FILTER_ID, "may-do-all", practice="North")
    world.run(practices.add_practice, OPERATOR, "North")
    add(world, replace(VPN, told=(everyone, north)))
    assert world.run(registry.show_application, OPERATOR, "vpn").told == (everyone, north)
    world.run(practices.remove_practice, OPERATOR, "North")
    world.run(practices.add_practice, OPERATOR, "Visitors")
    assert world.run(registry.show_application, OPERATOR, "vpn").told == (everyone,)


def test_no_secret_is_taken_for_an_option(world):
    """Programs such as radclient are given it as an argument."""
    world.store.services = replace(world.store.services, random_bytes=lambda count: b"\xf8" * count)
    assert add(world, VPN).startswith("_")


@pytest.mark.feature("applications-managed")
def test_a_secret_is_shown_once(world, caplog):
    """It is long and random, and neither the database nor the log has it."""
    token, shared = add(world, PORTAL), add(world, VPN)
    for secret in (token, shared):
        assert re.fullmatch("[A-Za-z0-9_-]{32}", secret)
    on_disk = world.file_bytes()
    assert token.encode() not in on_disk
    assert shared.encode() not in on_disk
    assert token not in caplog.text + repr(world.run(registry.rotate_secret, OPERATOR, "vpn"))
    row = models.Application.get(models.Application.name == "portal")
    assert token not in json.dumps(row.__data__, default=str)


def test_authentication(world):
    token = add(world, replace(PORTAL, networks=("10.0.0.0/24", "2001:db8::/64")))

    def name(token: str, address: str) -> str | None:
        found = world.run(asking.authenticate_application, token, address)
        return found and found.name

    for address in ("10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1"):
        assert name(token, address) == "portal"
    for address in ("10.0.1.7", "127.0.0.1", "2001:db8:1::1", "", "host"):
        assert name(token, address) is None
    for wrong in ("", token[:-1], token.swapcase(), "\ud800"):
        assert name(wrong, "10.0.0.7") is None
    again = world.run(registry.rotate_secret, OPERATOR, "portal").secret
    assert (name(token, "10.0.0.7"), name(again, "10.0.0.7")) == (None, "portal")
    world.run(registry.disable_application, OPERATOR, "portal")
    assert name(again, "10.0.0.7") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "ssh"}, "is not ssh, local or host"),
        ({"name": "a" * 17}, "1 to 16"),
        ({"name": "a b"}, "1 to 16"),
        ({"name": "vpn"}, "The name vpn is taken."),
        ({"networks": ("10.0.0.5/8",)}, "10.0.0.5/8 is not a network."),
        ({"networks": ("here",)}, "here is not a network."),
        ({"networks": ("10.0.0.1",) * 33}, "at most 32 networks"),
        ({"practices": ("North",)}, "The practice was not found."),
        ({"asks": Asks.CODE, "accept_without_2fa": True}, "nothing would be checked"),
        ({"may_send": True}, "--asks code"),
        ({"lenient": True}, "Only RADIUS"),
    ],
)
def test_what_cannot_be_added(world, change, words):
    add(world, VPN)
    before = world.dump()
    refused = world.run(registry.add_application, OPERATOR, replace(PORTAL, **change))
    assert isinstance(refused, Denied)
    assert words in refused.message
    assert world.dump() == before


def test_states(world):
    add(world, VPN)
    run = lambda act: world.run(act, OPERATOR, "vpn")  # noqa: E731 - one line each.
    assert run(registry.enable_application) == Done("Application vpn is already enabled.")
    assert run(registry.disable_application) == Done("Application vpn disabled.")
    assert run(registry.show_application).state is State.DISABLED
    assert run(registry.enable_application) == Done("Application vpn enabled.")
    assert run(registry.remove_application) == Done("Application vpn removed.")
    assert isinstance(run(registry.remove_application), Denied)
    assert world.events(last=3) == ["application.disabled", "application.enabled", "application.removed"]


def test_another_account(world):
    """It neither sees nor changes them, and cannot take their names."""
    chief = lifecycle.NewUser("chief", "chief@other.example")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    here, there = Operator("root", "Clinic"), Operator("root", "Other")
    add(world, VPN, here)
    before = world.dump()
    assert world.run(registry.list_applications, there).rows == ()
    for act in (
        registry.show_application,
        registry.rotate_secret,
        registry.enable_application,
        registry.disable_application,
        registry.remove_application,
    ):
        assert isinstance(world.run(act, there, "vpn"), Denied)
    assert isinstance(world.run(registry.add_application, there, VPN), Denied)
    assert world.dump() == before


def test_a_secret_outlives_the_master_key(world):
    shared = add(world, VPN)
    new = bytes(32)
    world.store.services = replace(world.services, vault=Vault(MASTER_KEY, new))
    checks = check_value_of(MASTER_KEY), check_value_of(new)
    assert isinstance(world.run(master_key.begin_rotation, OPERATOR, *checks), Done)
    row = models.Application.get()
    place = registry.secret_place(row.id)
    assert Vault(new).open_at(place, bytes(row.sealed_secret)) == shared.encode()
    assert world.run(doctor_facts.check_secrets).level == "ok"


def test_doctor(world):
    """It lists who accepts people without a code, and whose packets can be forged, while they are enabled."""
    add(world, VPN)
    add(world, replace(PORTAL, accept_without_2fa=True))
    said = [finding.sentence for finding in world.run(doctor_facts.check_accounts, OPERATOR)]
    assert "Applications that accept people without a second factor: portal." in said
    assert "Applications whose packets need no Message-Authenticator: vpn." in said
    for name in ("vpn", "portal"):
        world.run(registry.disable_application, OPERATOR, name)
    said = [finding.sentence for finding in world.run(doctor_facts.check_accounts, OPERATOR)]
    assert not [sentence for sentence in said if sentence.startswith("Applications")]


def test_a_renamed_practice_stays_served(world):
    add(world, PORTAL)
    world.run(practices.rename_practice, OPERATOR, "Main", "South")
    assert world.run(registry.show_application, OPERATOR, "portal").practices == ("South",)


@pytest.mark.parametrize(
    ("typed", "password", "code"),
    [
        ("secret123456", "secret", "123456"),
        ("secret,123456", "secret", "123456"),
        ("a,b,123456", "a,b", "123456"),
        ("secret,ABCD-EFGH-JKMN-PQRS", "secret", "ABCD-EFGH-JKMN-PQRS"),
        ("secret1234567", "secret1", "234567"),
        ("secret12345", "secret12345", ""),
        ("secret\N{ARABIC-INDIC DIGIT ONE}23456", "secret\N{ARABIC-INDIC DIGIT ONE}23456", ""),
        ("secret,", "secret", ""),
        ("123456", "", "123456"),
        ("", "", ""),
    ],
)
def test_one_field(typed, password, code):
    """There is one way to read it."""
    fields = split_answer(typed)
    assert (fields.password, fields.code) == (password, code)
    assert (password or code or "Fields") not in repr(fields) or not (password or code)
