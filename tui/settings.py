"""`twofold.toml`: what an operator may set, with every default shown, and how it is read."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from data.rules.text import safe
from data.rules.totp import ISSUER_LIMIT
from data.storage.hashing import HashCost
from data.storage.home import HomeError
from sshserver.limits import Limits

Value = int | float | str

_LIMITS = Limits()
_COST = HashCost()
_LEVELS = ("debug", "info", "warning", "error")


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
    _Setting("server", "host", "127.0.0.1", "The address to listen on; 0.0.0.0 or :: for every interface."),
    _Setting("server", "port", 2222, "The port to listen on; 0 picks a free one.", 0, 65_535),
    _Setting(
        "enrolment",
        "issuer",
        "Twofold",
        f"The name that authenticator apps show, at most {ISSUER_LIMIT} characters.",
    ),
    _Setting("passwords", "argon2_passes", _COST.passes, "The cost of a password hash: passes.", 1, 100),
    _Setting("passwords", "argon2_memory_kib", _COST.memory, "Memory in KiB.", 8_192, 4_194_304),
    _Setting("passwords", "argon2_lanes", _COST.lanes, "Lanes.", 1, 64),
    _limit("wrong_answers", "Wrong answers and bad signatures that end a connection."),
    _limit("unknown_keys", "Unknown keys that end a connection; agents hold many."),
    _limit("first_factor_seconds", "Time to pass the first factor."),
    _limit("second_factor_seconds", "Time from there to pass the second: people fetch their phone."),
    _limit("connections_per_source", "Connections of one IPv4 address or IPv6 /64 before the first factor."),
    _limit("unauthenticated_connections", "Connections in all before the first factor."),
    _limit("sessions_per_user", "Sessions of one user at a time."),
    _limit("sessions_per_connection", "Sessions in one connection at a time."),
    _limit("idle_minutes", "Minutes without a key press after which a session ends."),
    _limit("keepalive_seconds", "A client is asked for a sign of life this often ..."),
    _limit("keepalive_count", "... and is gone after so many without an answer."),
    _limit("drain_seconds", "Time that open sessions get to end when the server stops.", 0),
    _Setting("log", "level", "warning", f"How much is logged to stderr: {', '.join(_LEVELS)}."),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an installation."""

    host: str
    port: int
    issuer: str
    cost: HashCost
    limits: Limits
    log_level: str


def template() -> str:
    """Write the settings file of a new installation: each setting explained, at its default."""
    return "".join(_template_lines())


def load(path: Path) -> Settings:
    """Read the settings file; one that is missing leaves every default.

    Raises:
        HomeError: when it cannot be read or holds what is not a setting; it says which and why.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeError(f"The settings {path} cannot be read: {safe(error)}.") from None
    fault = _unknown(given)
    if fault:
        raise HomeError(f"{path}: {fault}")
    values = {(known.section, known.key): _value(path, known, given) for known in _SETTINGS}
    return _settings(values)


def _template_lines() -> Iterator[str]:
    yield "# Settings of Twofold. Each stands at its default: remove the # in front of a line to change it,\n"
    yield "# then start the server again.\n"
    section = ""
    for setting in _SETTINGS:
        if setting.section != section:
            section = setting.section
            yield f"\n[{section}]\n"
        shown = f'"{setting.default}"' if isinstance(setting.default, str) else f"{setting.default:g}"
        yield f"# {setting.comment}\n#{setting.key} = {shown}\n"


def _unknown(given: dict[str, Any]) -> str | None:
    sections = {setting.section for setting in _SETTINGS}
    for section, table in given.items():
        if section not in sections or not isinstance(table, dict):
            return f"there is no section [{safe(section)}]. There are: {', '.join(sorted(sections))}."
        for key in table:
            if not any(setting.section == section and setting.key == key for setting in _SETTINGS):
                return f"there is no setting {safe(key)} in [{section}]."
    return None


def _value(path: Path, setting: _Setting, given: dict[str, Any]) -> Value:
    value: object = given.get(setting.section, {}).get(setting.key, setting.default)
    where = f"{path}: {setting.key} in [{setting.section}]"
    if isinstance(setting.default, str):
        if not isinstance(value, str) or not value:
            raise HomeError(f"{where} is to be a text in quotes.")
        return _checked_text(where, setting.key, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HomeError(f"{where} is to be a number.")
    if not setting.least <= value <= setting.most:
        raise HomeError(f"{where} is to be between {setting.least:g} and {setting.most:g}.")
    return value if isinstance(setting.default, float) else int(value)


def _checked_text(where: str, key: str, value: str) -> str:
    if key == "level" and value not in _LEVELS:
        raise HomeError(f"{where} is to be one of {', '.join(_LEVELS)}.")
    if key == "issuer" and (len(value) > ISSUER_LIMIT or ":" in value):
        raise HomeError(f"{where} is to have at most {ISSUER_LIMIT} characters and no colon.")
    return value


def _settings(values: dict[tuple[str, str], Value]) -> Settings:
    known = {field.name for field in fields(Limits)}
    limits: dict[str, Any] = {key: value for (section, key), value in values.items() if section == "limits"}
    return Settings(
        host=str(values["server", "host"]),
        port=int(values["server", "port"]),
        issuer=str(values["enrolment", "issuer"]),
        cost=HashCost(
            passes=int(values["passwords", "argon2_passes"]),
            memory=int(values["passwords", "argon2_memory_kib"]),
            lanes=int(values["passwords", "argon2_lanes"]),
        ),
        limits=Limits(**{key: value for key, value in limits.items() if key in known}),
        log_level=str(values["log", "level"]),
    )
