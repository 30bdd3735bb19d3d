"""`twofold application`."""

import json
import re

import pytest

from data.operations.applications.asking import authenticate_application
from data.operations.maintenance.master_key import fits
from data.storage.home import Home
from tui.cli.open_installation import opened

ADD = ("application", "add", "vpn", "--http", "--from", "10.0.0.5", "--asks", "code")


def knows(home, token: str, address: str) -> bool:
    """Whether the installation takes a token."""
    with opened(Home(home)) as found:
        assert found.store.run_now(fits)
        return found.store.run_now(authenticate_application, token, address) is not None


@pytest.mark.feature("applications-managed")
def test_a_token_is_the_last_word(clinic, home):
    """It is printed once, and a new one replaces it."""
    added = clinic(*ADD)
    assert (added.status, added.err) == (0, "")
    assert added.out.startswith("Application vpn added.\nToken: ")
    token = added.out.split()[-1]
    assert re.fullmatch("[A-Za-z0-9_-]{32}", token)
    assert knows(home, token, "10.0.0.5")
    assert not knows(home, token, "127.0.0.1")
    shown = [clinic("application", *words).out for words in (("show", "vpn"), ("list",), ("list", "--json"))]
    assert token not in "".join(shown) + clinic("audit", "list").out
    again = clinic("application", "rotate", "vpn", "--yes").out.split()[-1]
    assert (knows(home, token, "10.0.0.5"), knows(home, again, "10.0.0.5")) == (False, True)


@pytest.mark.feature("applications-managed")
@pytest.mark.parametrize("protocols", [(), ("--http", "--radius")])
def test_one_protocol(clinic, protocols):
    refused = clinic("application", "add", "vpn", *protocols, "--asks", "code")
    assert (refused.status, "--http or --radius" in refused.err) == (2, True)
    assert json.loads(clinic("application", "list", "--json").out) == []


@pytest.mark.feature("applications-managed")
def test_shown_and_listed(clinic):
    clinic("practice", "add", "North")
    clinic(*ADD, "--practice", "north", "--may-send")
    clinic("application", "add", "portal", "--http", "--asks", "password-then-code", "--accept-without-2fa")
    portal, vpn = json.loads(clinic("application", "list", "--json").out)
    assert (vpn["name"], vpn["protocol"], vpn["asks"], vpn["state"]) == ("vpn", "http", "code", "enabled")
    assert (vpn["from"], vpn["practices"], vpn["all_practices"]) == (["10.0.0.5/32"], ["North"], False)
    assert (vpn["may_send"], vpn["accept_without_2fa"], vpn["suspended_at"]) == (True, False, None)
    assert (portal["from"], portal["accept_without_2fa"]) == (["127.0.0.0/8", "::1/128"], True)
    assert json.loads(clinic("application", "show", "vpn", "--json").out) == vpn
    lines = clinic("application", "list").out.splitlines()
    assert lines[0].split() == ["APPLICATION", "PROTOCOL", "ASKS", "STATE", "FROM"]
    assert lines[2].split() == ["vpn", "http", "code", "enabled", "10.0.0.5/32"]
    said = clinic("application", "show", "portal").out
    assert "Asks          password, then code\n" in said
    assert "Without 2FA   accepted by their password\n" in said


@pytest.mark.feature("applications-managed", "radius")
def test_radius(clinic):
    """Its secret is the last word too; what it is told of users is shown as it was typed."""
    add = ("application", "add", "vpn", "--radius", "--from", "10.0.0.5/32", "--asks", "code")
    added = clinic(*add, "--lenient", "--class", "all=OU=Staff", "--filter-id", "practice:main=main")
    assert re.fullmatch(r"Application vpn added\.\nSecret: [A-Za-z0-9_-]{32}\n", added.out)
    (vpn,) = json.loads(clinic("application", "list", "--json").out)
    assert (vpn["protocol"], vpn["lenient"]) == ("radius", True)
    assert [(each["attribute"], each["value"], each["practice"]) for each in vpn["attributes"]] == [
        ("Filter-Id", "main", "Main"),
        ("Class", "OU=Staff", None),
    ]
    said = clinic("application", "show", "vpn").out
    assert "Lenient       yes: its packets need no Message-Authenticator\n" in said
    assert "Class         all=OU=Staff\n" in said
    assert "Applications whose packets need no Message-Authenticator: vpn." in clinic("doctor").out
    for wrong in (("--class", "staff"), ("--class", "role:boss=x"), ("--class", "all=")):
        refused = clinic("application", "add", "other", *add[3:], *wrong)
        assert (refused.status, "Write all=VALUE" in refused.err) == (2, True)
    neither = clinic("application", "add", "other", "--asks", "code")
    assert (neither.status, "Say how it asks: --http or --radius." in neither.err) == (2, True)


@pytest.mark.feature("applications-managed")
def test_disabled_enabled_and_removed(clinic):
    clinic(*ADD)
    for words, said in (
        (("disable", "vpn", "--yes"), "Application vpn disabled.\n"),
        (("enable", "VPN"), "Application vpn enabled.\n"),
        (("remove", "vpn", "--yes"), "Application vpn removed.\n"),
    ):
        outcome = clinic("application", *words)
        assert (outcome.status, outcome.out) == (0, said)
    gone = clinic("application", "show", "vpn")
    assert gone.status == 1
    assert gone.err == "twofold: The application was not found. List the applications to see their names.\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "vpn", "--asks", "code"), 2, "--http"),
        (("add", "vpn", "--http"), 2, "--asks"),
        (("add", "vpn", "--http", "--asks", "nothing"), 2, "password-then-code"),
        (("add", "ssh", "--http", "--asks", "code"), 1, "is not ssh, local or host"),
        (("add", "vpn", "--http", "--asks", "code", "--accept-without-2fa"), 1, "nothing would be checked"),
    ],
)
def test_what_is_refused(clinic, words, status, said):
    outcome = clinic("application", *words)
    assert (outcome.status, outcome.out) == (status, "")
    assert said in outcome.err
