"""`twofold.toml`: its template, which shows every default, and how it is read."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from data.authserver.http_settings import HttpSettings, parse_listen
from data.delivery.carriers import Carriers, Command, Smtp
from data.rules.invitations import is_reachable, parse_address
from data.rules.principals import RULE, read_principal, reserved_names
from data.rules.safe_text import safe
from data.rules.source_addresses import Network, parse_network
from data.rules.totp import ISSUER_LIMIT
from data.rules.user_fields import fold_email, fold_phone
from data.storage.files import first_line, read_plain
from data.storage.home import HomeError
from data.storage.password_hashing import HashCost
from data.storage.postgresql import PostgresqlUrl, PostgresqlUrlError
from sshserver.limits.limit_values import Limits
from tui.cli.config_settings import SECURITIES, SETTINGS, Setting, Value

_MOST_BYTES = 1_000_000
_STANDARD_PORT = 22


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an installation; without a `database`, it uses the embedded one."""

    database: PostgresqlUrl | None
    host: str
    port: int
    public_address: tuple[str, int] | None
    workers: int
    strict_algorithms: bool
    issuer: str
    cost: HashCost
    limits: Limits
    log_level: str
    log_format: str
    metrics_port: int
    http: HttpSettings
    radius: tuple[str, int]
    carriers: Carriers
    sms_number: str | None
    codes_per_day: int
    longest_session: timedelta
    reserved_principals: frozenset[str]
    forwarding: tuple[Network, ...]


def template(**given: str) -> str:
    """Return the settings file of a new installation: each setting explained, at its default or as given."""
    return "".join(_template_lines(given))


def load(path: Path) -> Settings:
    """Read the settings file; if it is missing, every default applies.

    Raises:
        HomeError: when it cannot be read or a setting is wrong; it says which and why.
    """
    try:
        given = tomllib.loads(read_plain(path, _MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        given = {}
    except OSError as error:
        raise HomeError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise HomeError(f"The settings file {path} cannot be read: a list is nested too deeply.") from None
    except ValueError as error:  # From TOML, from UTF-8, or from a number with too many digits.
        raise HomeError(f"The settings file {path} cannot be read: {safe(error)}.") from None
    top = {key: value for key, value in given.items() if not isinstance(value, dict)}
    given = {"": top} | {key: value for key, value in given.items() if key not in top}
    fault = _unknown(given)
    if fault:
        raise HomeError(f"{path}: {fault}")
    return _settings(_Values(path, given))


def _template_lines(given: Mapping[str, str]) -> Iterator[str]:
    yield "# Settings of Twofold. Each line shows the default. To change one, remove the # in front of it,\n"
    yield "# edit it, then restart the server.\n"
    section = ""
    for setting in SETTINGS:
        if setting.section != section:
            section = setting.section
            yield f"\n[{section}]\n"
        if not setting.section:
            yield "\n"
        value = None if setting.section else given.get(setting.key)
        line = f"#{setting.key} = {_shown(setting.default)}" if value is None else _line(setting.key, value)
        yield f"# {setting.comment}\n{line}\n"


def _line(key: str, value: str) -> str:
    """Write a string in TOML; JSON's escapes are valid in it."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _unknown(given: dict[str, Any]) -> str | None:
    sections = {setting.section for setting in SETTINGS}
    for section, table in given.items():
        if section not in sections:
            there = ", ".join(sorted(filter(None, sections)))
            return f"unknown section [{safe(section)}]. The sections are: {there}."
        for key in table:
            if not any(setting.section == section and setting.key == key for setting in SETTINGS):
                return f"unknown setting {safe(key)}{_inside(section)}."
    return None


def _inside(section: str) -> str:
    return f" in [{section}]" if section else ""


def _value(path: Path, setting: Setting, given: dict[str, Any]) -> Value:
    value: object = given.get(setting.section, {}).get(setting.key, setting.default)
    where = f"{path}: {setting.key}{_inside(setting.section)}"
    if isinstance(setting.default, str):
        if not isinstance(value, str) or (setting.default and not value):
            raise HomeError(f"{where} must be a string in quotes.")
        return _checked_text(where, setting, value)
    if isinstance(setting.default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) and part for part in value):
            raise HomeError(f"{where} must be a list of strings in quotes.")
        return tuple(value)
    if isinstance(setting.default, bool):
        if not isinstance(value, bool):
            raise HomeError(f"{where} must be true or false.")
        return value
    return _checked_number(where, setting, value)


def _checked_number(where: str, setting: Setting, value: object) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HomeError(f"{where} must be a number.")
    if not setting.least <= value <= setting.most:
        raise HomeError(f"{where} must be between {setting.least:g} and {setting.most:g}.")
    return value if isinstance(setting.default, float) else int(value)


def _checked_text(where: str, setting: Setting, value: str) -> str:
    if setting.choices and value not in setting.choices:
        raise HomeError(f"{where} must be one of {', '.join(setting.choices)}.")
    if setting.key == "issuer" and (len(value) > ISSUER_LIMIT or ":" in value):
        raise HomeError(f"{where} must have at most {ISSUER_LIMIT} characters and no colon.")
    return value


class _Values:
    """The values in the file at `path`, with defaults for the others."""

    def __init__(self, path: Path, given: dict[str, Any]) -> None:
        """Check each value by itself.

        Raises:
            HomeError: when one is not valid for its setting.
        """
        self._path = path
        self._values = {(known.section, known.key): _value(path, known, given) for known in SETTINGS}

    def section(self, name: str) -> dict[str, Value]:
        """Return a section's values by their keys."""
        return {key: value for (section, key), value in self._values.items() if section == name}

    def text(self, section: str, key: str) -> str:
        """Return a string."""
        return str(self._values[section, key])

    def texts(self, section: str, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self._values[section, key]
        return value if isinstance(value, tuple) else ()

    def number(self, section: str, key: str) -> float:
        """Return a number."""
        value = self._values[section, key]
        return value if isinstance(value, int | float) else 0

    def count(self, section: str, key: str) -> int:
        """Return a whole number."""
        return int(self.number(section, key))

    def database(self) -> PostgresqlUrl | None:
        """Return the URL of the database; None for the file in the home."""
        url, file = self.text("", "database"), self.text("", "database_password_file")
        if not url:
            return None
        try:
            return PostgresqlUrl.parse(url, self._first_line(file) if file else None)
        except PostgresqlUrlError as error:
            raise self._fault(f"database: {error}") from None

    def public_address(self) -> tuple[str, int] | None:
        """Return the host and port that people connect to; None if others may not be able to reach them."""
        given, host = self.text("server", "public_address"), self.text("server", "host")
        port = self.count("server", "port")
        if not given:
            return (host, port) if is_reachable(host) and port else None
        address = parse_address(given, port or _STANDARD_PORT)
        if address is None:
            raise self._fault(
                "public_address in [server] must be a name or an address, with or without a port, such as "
                '"ssh.clinic.example:22".'
            )
        return address

    def smtp(self) -> Smtp | None:
        """Return the mail server, if one is set."""
        given = {key: str(value) for key, value in self.section("smtp").items()}
        if not given["host"]:
            return None
        if fold_email(given["from"]) is None:
            raise self._fault("from in [smtp] must be the e-mail address that codes are sent from.")
        file = given["password_file"]
        return Smtp(
            given["host"],
            int(given["port"]),
            given["from"],
            SECURITIES[given["security"]],
            given["user"],
            self._first_line(file) if file else given["password"],
            given["ca_file"],
        )

    def send_command(self) -> Command | None:
        """Return the program that sends text messages, if one is set."""
        arguments = self.texts("sms", "send_command")
        if not arguments:
            return None
        if not any("{to}" in argument for argument in arguments[1:]):
            raise self._fault("send_command in [sms] must contain {to} in place of the number.")
        return Command(arguments)

    def sms_number(self) -> str | None:
        """Return the number that receives text messages for this installation, if one is set."""
        given = self.text("sms", "number")
        if not given:
            return None
        number = fold_phone(given)
        if number is None:
            raise self._fault(
                'number in [sms] must be a phone number with the country code, such as "+49 30 1234567".'
            )
        if not self._values["sms", "send_command"]:
            raise self._fault("number in [sms] needs send_command too: it sends the codes at sign-in.")
        return number

    def http(self) -> HttpSettings:
        """Return where HTTP is served, if at all, and with what."""
        listen = self.listen("http", 8443)
        files = [self.text("http", key) for key in ("certificate", "key")]
        certificate, key = (self._path.parent / file if file else None for file in files)
        return HttpSettings(*listen, certificate, key, self.networks("http", "proxies"))

    def networks(self, section: str, key: str) -> tuple[Network, ...]:
        """Return a list of networks."""
        networks = [parse_network(name) for name in self.texts(section, key)]
        known = tuple(network for network in networks if network is not None)
        if len(known) < len(networks):
            raise self._fault(f'{key} in [{section}] must be addresses or networks, such as "10.0.0.0/24".')
        return known

    def reserved_principals(self) -> frozenset[str]:
        """Return the principals that only the operator gives."""
        given = self._values["certificates", "reserved"]
        names = given if isinstance(given, tuple) else ()
        if any(read_principal(name) is None for name in names):
            raise self._fault(f"reserved in [certificates] must be a list of principals. {RULE}")
        return reserved_names(names)

    def listen(self, section: str, port: int) -> tuple[str, int]:
        """Return the address and the port that a section names; without one, an empty address."""
        given = self.text(section, "listen")
        listen = parse_listen(given) if given else ("", 0)
        if listen is None:
            raise self._fault(
                f'listen in [{section}] must be an address and a port, such as "127.0.0.1:{port}".'
            )
        return listen

    def _first_line(self, file: str) -> str:
        path = self._path.parent / file
        try:
            return first_line(path)
        except OSError as error:
            raise self._fault(f"the file {safe(path)} cannot be read: {error.strerror}.") from None

    def _fault(self, what: str) -> HomeError:
        return HomeError(f"{self._path}: {what}")


def _settings(values: _Values) -> Settings:
    known = {field.name for field in fields(Limits)}
    limits: dict[str, Any] = {key: value for key, value in values.section("limits").items() if key in known}
    return Settings(
        database=values.database(),
        host=values.text("server", "host"),
        port=values.count("server", "port"),
        public_address=values.public_address(),
        workers=values.count("server", "workers"),
        strict_algorithms=bool(values.number("server", "strict_algorithms")),
        issuer=values.text("enrolment", "issuer"),
        cost=HashCost(
            passes=values.count("passwords", "argon2_passes"),
            memory=values.count("passwords", "argon2_memory_kib"),
            lanes=values.count("passwords", "argon2_lanes"),
        ),
        limits=Limits(**limits),
        log_level=values.text("log", "level"),
        log_format=values.text("log", "format"),
        metrics_port=values.count("metrics", "port"),
        http=values.http(),
        radius=values.listen("radius", 1812),
        carriers=Carriers(values.smtp(), values.send_command()),
        sms_number=values.sms_number(),
        codes_per_day=values.count("sending", "codes_per_day"),
        longest_session=timedelta(hours=values.number("limits", "session_hours")),
        reserved_principals=values.reserved_principals(),
        forwarding=values.networks("forwarding", "networks"),
    )
