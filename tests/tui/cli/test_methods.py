"""Methods and carriers from the command line and the settings."""

import json
from pathlib import Path

import pytest

from data.delivery.carriers import Command, Smtp
from data.storage.home import HomeError
from tui.cli.config_file import load

SMTP = '[smtp]\nhost = "127.0.0.1"\nfrom = "twofold@clinic.example"\n'
SMS = '[sms]\nsend_command = ["gammu-smsd-inject", "TEXT", "{to}"]\n'


def settings(home: Path, text: str) -> None:
    (home / "twofold.toml").write_text(text)


@pytest.mark.feature("switch-methods")
def test_methods_are_switched_and_shown(clinic, home):
    settings(home, SMTP + SMS)
    outcome = clinic("policy", "set", "--methods", "app,sms,email", "--yes")
    assert (outcome.status, outcome.out) == (
        0,
        "The methods are now: authenticator app, text message, e-mail.\n",
    )
    assert json.loads(clinic("policy", "show", "--json").out)["methods"] == ["app", "sms", "email"]
    assert "Methods  app, sms, email\n" in clinic("policy", "show").out


@pytest.mark.feature("method-settings")
def test_method_without_a_carrier(clinic):
    outcome = clinic("policy", "set", "--methods", "app,email", "--yes")
    assert outcome.status == 1
    assert "must set [smtp] in twofold.toml" in outcome.err


@pytest.mark.parametrize("listed", ["", "fax", "app,,fax", ","])
def test_what_is_no_method_is_wrong_usage(clinic, listed):
    outcome = clinic("policy", "set", "--methods", listed, "--yes")
    assert outcome.status == 2
    assert "app, sms, email" in outcome.err


def test_without_a_terminal_a_change_needs_a_yes(clinic, home):
    settings(home, SMTP)
    assert clinic("policy", "set", "--methods", "email").status == 2


@pytest.mark.feature("smtp")
def test_the_settings_of_the_carriers_are_read(tmp_path):
    (tmp_path / "secret").write_text("the password\nand more\n")
    path = tmp_path / "twofold.toml"
    path.write_text(SMTP + 'security = "tls"\nport = 465\nuser = "u"\npassword_file = "secret"\n' + SMS)
    carriers = load(path).carriers
    assert carriers.smtp == Smtp("127.0.0.1", 465, "twofold@clinic.example", "tls", "u", "the password")
    assert carriers.command == Command(("gammu-smsd-inject", "TEXT", "{to}"))
    assert "the password" not in repr(carriers)


@pytest.mark.feature("gateway")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[smtp]\nhost = "mail"\n', "from in [smtp]"),
        (SMTP + 'security = "ssl"\n', "security in [smtp] must be one of starttls, tls, none"),
        (SMTP + 'password_file = "nowhere"\n', "cannot be read"),
        ('[sms]\nsend_command = ["send"]\n', "must contain {to}"),
        ('[sms]\nsend_command = "send {to}"\n', "must be a list of strings"),
        ('[sms]\nsend_command = ["send", 1]\n', "must be a list of strings"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, complaint):
    path = tmp_path / "twofold.toml"
    path.write_text(text)
    with pytest.raises(HomeError) as refused:
        load(path)
    assert complaint in str(refused.value)
