"""`twofold.toml`: every default shown, and what is wrong said by name."""

import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from data.storage.home import HomeError
from data.storage.password_hashing import HashCost
from sshserver.limits.limit_values import Limits
from tui.cli import config_file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "twofold.toml"


def test_template_shows_the_defaults(file):
    """It changes nothing."""
    file.write_text(config_file.template())
    untouched = config_file.load(file)
    file.write_text(re.sub(r"^#(\w+ = )", r"\1", config_file.template(), flags=re.MULTILINE))
    assert config_file.load(file) == untouched
    file.unlink()
    assert config_file.load(file) == untouched


@pytest.mark.feature("wait-for-sent-code")
def test_the_defaults_are_those_of_the_layers_below(file):
    loaded = config_file.load(file)
    assert loaded.limits == Limits()
    assert loaded.cost == HashCost()


def test_what_is_set_is_used(file):
    file.write_text(
        '[server]\nport = 2022\n[limits]\nsessions_per_user = 3\n[enrolment]\nissuer = "Clinic"\n'
    )
    loaded = config_file.load(file)
    assert (loaded.port, loaded.limits.sessions_per_user, loaded.issuer) == (2022, 3, "Clinic")
    assert asdict(loaded.limits) == asdict(Limits(sessions_per_user=3))


@pytest.mark.feature("applications-http")
def test_http(file):
    """It is off by default; its files are found beside the settings."""
    assert config_file.load(file).http.host == ""
    file.write_text(
        '[http]\nlisten = "[::1]:8443"\ncertificate = "tls.crt"\nkey = "/etc/tls.key"\n'
        'proxies = ["10.0.0.0/8"]\n'
    )
    loaded = config_file.load(file).http
    assert (loaded.host, loaded.port, loaded.url) == ("::1", 8443, "https://[::1]:8443")
    assert (loaded.certificate, loaded.key) == (file.parent / "tls.crt", Path("/etc/tls.key"))
    assert [str(network) for network in loaded.proxies] == ["10.0.0.0/8"]


def test_reserved_principals(file):
    """Root is always one of them, and the case of their letters is ignored."""
    assert config_file.load(file).reserved_principals == {"root"}
    file.write_text('[certificates]\nreserved = ["Deploy", "postgres"]\n')
    assert config_file.load(file).reserved_principals == {"root", "deploy", "postgres"}


@pytest.mark.feature("targets-addresses")
def test_networks_of_targets(file):
    """None by default."""
    assert config_file.load(file).forwarding == ()
    file.write_text('[forwarding]\nnetworks = ["10.0.0.0/8", "2001:db8::5"]\n')
    assert [str(each) for each in config_file.load(file).forwarding] == ["10.0.0.0/8", "2001:db8::5/128"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sevrer]\nport = 1", "sevrer"),
        ("[server]\nprot = 1", "prot"),
        ("port = 1", "port"),
        ("[server]\nport = 99999", "between 0 and 65535"),
        ("[server]\nport = true", "a number"),
        ("[server]\nport = '1'", "a number"),
        ("[server]\nhost = 1", "in quotes"),
        ("[server]\nstrict_algorithms = 1", "true or false"),
        ("[passwords]\nargon2_memory_kib = 8", "between 8192"),
        ("[log]\nlevel = 'loud'", "debug, info, warning, error"),
        ("[log]\nformat = 'xml'", "plain, json"),
        ("[metrics]\nport = 70000", "between 0 and 65535"),
        ("[server]\nworkers = 65", "between 0 and 64"),
        ("[http]\nlisten = '8443'", 'an address and a port, such as "127.0.0.1:8443"'),
        ("[http]\nproxies = ['10.0.0.1/24']", 'addresses or networks, such as "10.0.0.0/24"'),
        ("[certificates]\nreserved = ['web*']", "must be a list of principals"),
        ("[forwarding]\nnetworks = ['db1']", "networks in [forwarding] must be addresses or networks"),
        ("[enrolment]\nissuer = 'a name that is too long'", "12 characters"),
        ("[enrolment]\nissuer = 'a:b'", "no colon"),
        ("[limits]\nwrong_answers = 0", "between 1"),
        ("[limits]\nidle_minutes = nan", "between 1"),
        ("rub\x1bbish", "cannot be read"),
        ("[server]\nport = " + "9" * 5_000, "cannot be read"),
        ("[server]\nport = 1" + "0" * 400, "between 0 and 65535"),
        ("[server]\nport = 1e400", "between 0 and 65535"),
        ("[sms]\nsend_command = " + "[" * 5_000 + "]" * 5_000, "too deep"),
        ("a" + ".a" * 5_000 + " = 1", "unknown section"),
        ("#" * 2_000_000, "more than 1000000 bytes"),
        ('database = "postgresql://x/y"\ndatabase_password_file = "a\\u0000b"', "not a file path"),
        ('[smtp]\nhost = "x"\nfrom = "a@b.example"\npassword_file = "/dev/zero"', "not a regular file"),
    ],
)
def test_a_fault_is_said_by_name(file, text, says):
    file.write_text(text)
    with pytest.raises(HomeError, match=re.escape(says)) as error:
        config_file.load(file)
    assert "\x1b" not in str(error.value)


def test_what_is_no_file_is_not_waited_for(file):
    os.mkfifo(file)
    with pytest.raises(HomeError, match="It is not a regular file"):
        config_file.load(file)


@pytest.mark.parametrize("sender", ["twofold@klinik.local", "root@localhost", "twofold@mail.home.arpa"])
def test_a_sender_may_be_in_an_inner_network(file, sender):
    file.write_text(f'[smtp]\nhost = "localhost"\nfrom = "{sender}"\n')
    assert config_file.load(file).carriers.smtp.sender == sender


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("", None),
        ('host = "0.0.0.0"', None),
        ('host = "192.0.2.7"', ("192.0.2.7", 2222)),
        ('host = "192.0.2.7"\nport = 0', None),
        ('public_address = "ssh.clinic.example"\nport = 2022', ("ssh.clinic.example", 2022)),
        ('public_address = "127.0.0.1:22"', ("127.0.0.1", 22)),
    ],
)
def test_reachable_address_or_none(file, server, address):
    """Users are told an address that they can reach, or none."""
    file.write_text(f"[server]\n{server}\n")
    assert config_file.load(file).public_address == address


def test_invalid_public_address(file):
    file.write_text('[server]\npublic_address = "-oProxyCommand=x"\n')
    with pytest.raises(HomeError, match=r"public_address in \[server\] must be a name or an address"):
        config_file.load(file)
