"""`twofold.toml`: what an operator may set, with every default shown, and how it is read."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from data.delivery.carriers import Carriers, Command, Security, Smtp
from data.rules.invitations import is_reachable, parse_address
from data.rules.safe_text import safe
from data.rules.sent_codes import PER_DAY
from data.rules.sessions import LONGEST
from data.rules.totp import ISSUER_LIMIT
from data.rules.user_fields import fold_email, fold_phone
from data.storage.files import first_line, read_plain
from data.storage.home import HomeError
from data.storage.password_hashing import HashCost
from data.storage.postgresql import PostgresqlUrl, PostgresqlUrlError
from sshserver.limits.limit_values import Limits

Value = int | float | str | tuple[str, ...]

_LIMITS = Limits()
_COST = HashCost()
_SECURITIES: dict[str, Security] = {"starttls": "starttls", "tls": "tls", "none": "none"}
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("plain", "json")
_MOST_BYTES = 1_000_000
_STANDARD_PORT = 22


@dataclass(frozen=True, slots=True)
class _Setting:
    """One line of the file; `least` is the smallest number taken."""

    section: str
    key: str
    default: Value
    comment: str
    least: float = 0
    most: float = 1_000_000


def _limit(key: str, comment: str, least: float = 1) -> _Setting:
    return _Setting("limits", key, getattr(_LIMITS, key), comment, least)


_SETTINGS = (
    _Setting(
        "",
        "database",
        "",
        "A PostgreSQL database for several nodes, such as\n"
        '# "postgresql://twofold@db.example/twofold?sslmode=verify-full"; empty for the file twofold.db\n'
        "# here. Its password may stand in ~/.pgpass, ...",
    ),
    _Setting("", "database_password_file", "", "... or in a file that holds it and that only you can read."),
    _Setting("server", "host", "127.0.0.1", "The address to listen on; 0.0.0.0 or :: for every interface."),
    _Setting("server", "port", 2222, "The port to listen on; 0 picks a free one.", 0, 65_535),
    _Setting(
        "server",
        "public_address",
        "",
        "The name or address that invitations tell people to connect to, with the port where it is\n"
        '# another: "ssh.clinic.example" or "ssh.clinic.example:22". Empty for `host`, if others reach that.',
    ),
    _Setting(
        "server", "workers", 0, "Processes that share the port; 0 for as many as there are cores.", 0, 64
    ),
    _Setting(
        "server",
        "strict_algorithms",
        False,
        "Offer post-quantum key exchange alone: older clients cannot connect then.",
    ),
    _Setting(
        "enrolment",
        "issuer",
        "Twofold",
        f"The name that authenticator apps show, at most {ISSUER_LIMIT} characters.",
    ),
    _Setting("smtp", "host", "", "The mail server for codes and notices by e-mail; empty for none."),
    _Setting("smtp", "port", 587, "Its port: 587 for starttls, 465 for tls, most often.", 1, 65_535),
    _Setting("smtp", "security", "starttls", f"How the way there is protected: {', '.join(_SECURITIES)}."),
    _Setting("smtp", "ca_file", "", "Certificates to trust instead of the system's; empty for the system's."),
    _Setting("smtp", "user", "", "The name to sign in with there; empty for none."),
    _Setting("smtp", "password", "", "The password to it ..."),
    _Setting("smtp", "password_file", "", "... or a file that holds it and that only you can read."),
    _Setting("smtp", "from", "", 'The sender, such as "twofold@clinic.example".'),
    _Setting(
        "sms",
        "send_command",
        (),
        'The program that sends text messages, such as ["gammu-smsd-inject", "TEXT", "{to}"]. It gets the\n'
        "# number in the place of {to}, the text on its standard input, and no shell; empty for none.",
    ),
    _Setting(
        "sms",
        "number",
        "",
        'The number that text messages to you reach, such as "+49 30 1234567": people can then\n'
        "# send a code from their phone instead of typing its number. Empty for none; how messages come in\n"
        "# says: twofold sms received --help",
    ),
    _Setting(
        "sending",
        "codes_per_day",
        PER_DAY,
        "Codes that each account sends a day to sign in, and as many to set up.",
    ),
    _Setting("passwords", "argon2_passes", _COST.passes, "The cost of a password hash: passes.", 1, 100),
    _Setting("passwords", "argon2_memory_kib", _COST.memory, "Memory in KiB.", 8_192, 4_194_304),
    _Setting("passwords", "argon2_lanes", _COST.lanes, "Lanes.", 1, 64),
    _limit("wrong_answers", "Wrong answers and bad signatures that end a connection."),
    _limit("unknown_keys", "Unknown keys that end a connection; agents hold many."),
    _limit("first_factor_seconds", "Time to pass the first factor."),
    _limit("second_factor_seconds", "Time from there to pass the second: people fetch their phone."),
    _limit("connections_per_second", "Connections of one IPv4 address or IPv6 /64 opened within a second."),
    _limit("connections_per_source", "Connections of one IPv4 address or IPv6 /64 before the first factor."),
    _limit("unauthenticated_connections", "Connections in all before the first factor."),
    _limit("sessions_per_user", "Sessions of one user at a time."),
    _limit("sessions_per_connection", "Sessions in one connection at a time."),
    _limit("idle_minutes", "Minutes without a key press after which a session ends."),
    _Setting(
        "limits",
        "session_hours",
        LONGEST / timedelta(hours=1),
        "Hours after which a session ends, whatever is typed.",
        0.1,
        24 * 365,
    ),
    _limit("keepalive_seconds", "A client is asked for a sign of life this often ..."),
    _limit("keepalive_count", "... and is gone after so many without an answer."),
    _limit("drain_seconds", "Time that open sessions get to end when the server stops.", 0),
    _limit("silence_seconds", "One of several workers that does not answer for so long is replaced."),
    _Setting(
        "log", "level", "info", f"How much is logged to stderr: {', '.join(_LEVELS)}; info tells of sign-ins."
    ),
    _Setting("log", "format", "plain", f"One event a line: {' or '.join(_FORMATS)}."),
    _Setting(
        "metrics",
        "port",
        0,
        "The port of the loopback interface where Prometheus finds measurements; 0 for none.",
        0,
        65_535,
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an installation; without a `database`, it is the embedded one."""

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
    carriers: Carriers
    sms_number: str | None
    codes_per_day: int
    longest_session: timedelta


def template(**given: str) -> str:
    """Write the settings file of a new installation: each setting explained, at its default or as given."""
    return "".join(_template_lines(given))


def load(path: Path) -> Settings:
    """Read the settings file; one that is missing leaves every default.

    Raises:
        HomeError: when it cannot be read or holds what is not a setting; it says which and why.
    """
    try:
        given = tomllib.loads(read_plain(path, _MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        given = {}
    except OSError as error:
        raise HomeError(f"The settings {path} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise HomeError(f"The settings {path} cannot be read: lists stand in lists too deep.") from None
    except ValueError as error:  # Of TOML, of UTF-8, or of a number with too many digits.
        raise HomeError(f"The settings {path} cannot be read: {safe(error)}.") from None
    top = {key: value for key, value in given.items() if not isinstance(value, dict)}
    given = {"": top} | {key: value for key, value in given.items() if key not in top}
    fault = _unknown(given)
    if fault:
        raise HomeError(f"{path}: {fault}")
    values = {(known.section, known.key): _value(path, known, given) for known in _SETTINGS}
    return _settings(path, values)


def _template_lines(given: Mapping[str, str]) -> Iterator[str]:
    yield "# Settings of Twofold. Each stands at its default: remove the # in front of a line to change it,\n"
    yield "# then start the server again.\n"
    section = ""
    for setting in _SETTINGS:
        if setting.section != section:
            section = setting.section
            yield f"\n[{section}]\n"
        if not setting.section:
            yield "\n"
        value = None if setting.section else given.get(setting.key)
        line = f"#{setting.key} = {_shown(setting.default)}" if value is None else _line(setting.key, value)
        yield f"# {setting.comment}\n{line}\n"


def _line(key: str, value: str) -> str:
    """Write a text as TOML has it: JSON's escapes are among TOML's."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _unknown(given: dict[str, Any]) -> str | None:
    sections = {setting.section for setting in _SETTINGS}
    for section, table in given.items():
        if section not in sections:
            there = ", ".join(sorted(filter(None, sections)))
            return f"there is no section [{safe(section)}]. There are: {there}."
        for key in table:
            if not any(setting.section == section and setting.key == key for setting in _SETTINGS):
                return f"there is no setting {safe(key)}{_inside(section)}."
    return None


def _inside(section: str) -> str:
    return f" in [{section}]" if section else ""


def _value(path: Path, setting: _Setting, given: dict[str, Any]) -> Value:
    value: object = given.get(setting.section, {}).get(setting.key, setting.default)
    where = f"{path}: {setting.key}{_inside(setting.section)}"
    if isinstance(setting.default, str):
        if not isinstance(value, str) or (setting.default and not value):
            raise HomeError(f"{where} is to be a text in quotes.")
        return _checked_text(where, setting.key, value)
    if isinstance(setting.default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) and part for part in value):
            raise HomeError(f"{where} is to be a list of texts in quotes.")
        return tuple(value)
    if isinstance(setting.default, bool):
        if not isinstance(value, bool):
            raise HomeError(f"{where} is to be true or false.")
        return value
    return _checked_number(where, setting, value)


def _checked_number(where: str, setting: _Setting, value: object) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HomeError(f"{where} is to be a number.")
    if not setting.least <= value <= setting.most:
        raise HomeError(f"{where} is to be between {setting.least:g} and {setting.most:g}.")
    return value if isinstance(setting.default, float) else int(value)


def _checked_text(where: str, key: str, value: str) -> str:
    if key == "level" and value not in _LEVELS:
        raise HomeError(f"{where} is to be one of {', '.join(_LEVELS)}.")
    if key == "format" and value not in _FORMATS:
        raise HomeError(f"{where} is to be one of {', '.join(_FORMATS)}.")
    if key == "security" and value not in _SECURITIES:
        raise HomeError(f"{where} is to be one of {', '.join(_SECURITIES)}.")
    if key == "issuer" and (len(value) > ISSUER_LIMIT or ":" in value):
        raise HomeError(f"{where} is to have at most {ISSUER_LIMIT} characters and no colon.")
    return value


def _database(path: Path, values: dict[tuple[str, str], Value]) -> PostgresqlUrl | None:
    url, file = str(values["", "database"]), str(values["", "database_password_file"])
    if not url:
        return None
    try:
        return PostgresqlUrl.parse(url, _first_line(path, path.parent / file) if file else None)
    except PostgresqlUrlError as error:
        raise HomeError(f"{path}: database: {error}") from None


def _public_address(path: Path, values: dict[tuple[str, str], Value]) -> tuple[str, int] | None:
    """Return the host and port that people connect to; None where others are not known to reach them."""
    given, host, port = (str(values["server", key]) for key in ("public_address", "host", "port"))
    if not given:
        return (host, int(port)) if is_reachable(host) and int(port) else None
    address = parse_address(given, int(port) or _STANDARD_PORT)
    if address is None:
        raise HomeError(
            f"{path}: public_address in [server] must be a name or an address, and may have a port, such as "
            '"ssh.clinic.example:22".'
        )
    return address


def _smtp(path: Path, values: dict[tuple[str, str], Value]) -> Smtp | None:
    given = {key: str(value) for (section, key), value in values.items() if section == "smtp"}
    if not given["host"]:
        return None
    if fold_email(given["from"]) is None:
        raise HomeError(f"{path}: from in [smtp] is to be an e-mail address: the sender of the codes.")
    password = given["password"]
    if given["password_file"]:
        password = _first_line(path, path.parent / given["password_file"])
    return Smtp(
        given["host"],
        int(given["port"]),
        given["from"],
        _SECURITIES[given["security"]],
        given["user"],
        password,
        given["ca_file"],
    )


def _command(path: Path, values: dict[tuple[str, str], Value]) -> Command | None:
    arguments = values["sms", "send_command"]
    if not isinstance(arguments, tuple) or not arguments:
        return None
    if not any("{to}" in argument for argument in arguments[1:]):
        raise HomeError(f"{path}: send_command in [sms] is to hold {{to}}, where the number stands.")
    return Command(arguments)


def _sms_number(path: Path, values: dict[tuple[str, str], Value]) -> str | None:
    given = str(values["sms", "number"])
    if not given:
        return None
    number = fold_phone(given)
    if number is None:
        raise HomeError(
            f'{path}: number in [sms] is to be a phone number with its country: "+49 30 1234567".'
        )
    if not values["sms", "send_command"]:
        raise HomeError(
            f"{path}: number in [sms] needs send_command beside it, which sends the codes at sign-in."
        )
    return number


def _first_line(path: Path, file: Path) -> str:
    try:
        return first_line(file)
    except OSError as error:
        raise HomeError(f"{path}: the file {safe(file)} cannot be read: {error.strerror}.") from None


def _hours(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _number(value: Value) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _settings(path: Path, values: dict[tuple[str, str], Value]) -> Settings:
    known = {field.name for field in fields(Limits)}
    limits: dict[str, Any] = {key: value for (section, key), value in values.items() if section == "limits"}
    return Settings(
        database=_database(path, values),
        host=str(values["server", "host"]),
        port=_number(values["server", "port"]),
        public_address=_public_address(path, values),
        workers=_number(values["server", "workers"]),
        strict_algorithms=values["server", "strict_algorithms"] is True,
        issuer=str(values["enrolment", "issuer"]),
        cost=HashCost(
            passes=_number(values["passwords", "argon2_passes"]),
            memory=_number(values["passwords", "argon2_memory_kib"]),
            lanes=_number(values["passwords", "argon2_lanes"]),
        ),
        limits=Limits(**{key: value for key, value in limits.items() if key in known}),
        log_level=str(values["log", "level"]),
        log_format=str(values["log", "format"]),
        metrics_port=_number(values["metrics", "port"]),
        carriers=Carriers(_smtp(path, values), _command(path, values)),
        sms_number=_sms_number(path, values),
        codes_per_day=_number(values["sending", "codes_per_day"]),
        longest_session=timedelta(hours=_hours(values["limits", "session_hours"])),
    )
