"""Every setting of `twofold.toml`: its default, what it means, and which numbers it takes."""

from dataclasses import dataclass
from datetime import timedelta

from data.delivery.carriers import Security
from data.rules.policy import LONGEST_SESSION
from data.rules.sent_codes import PER_DAY
from data.rules.totp import ISSUER_LIMIT
from data.storage.password_hashing import HashCost
from sshserver.limits.limit_values import Limits

Value = int | float | str | tuple[str, ...]

_LIMITS = Limits()
_COST = HashCost()
SECURITIES: dict[str, Security] = {"starttls": "starttls", "tls": "tls", "none": "none"}
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("plain", "json")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the file: from which number to which it takes, or which texts."""

    section: str
    key: str
    default: Value
    comment: str
    least: float = 0
    most: float = 1_000_000
    choices: tuple[str, ...] = ()


def _limit(key: str, comment: str, least: float = 1) -> Setting:
    return Setting("limits", key, getattr(_LIMITS, key), comment, least)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "",
        "database",
        "",
        "A PostgreSQL database for several nodes, such as\n"
        '# "postgresql://twofold@db.example/twofold?sslmode=verify-full"; empty for the file twofold.db\n'
        "# here. Its password may stand in ~/.pgpass, ...",
    ),
    Setting("", "database_password_file", "", "... or in a file that holds it and that only you can read."),
    Setting("server", "host", "127.0.0.1", "The address to listen on; 0.0.0.0 or :: for every interface."),
    Setting("server", "port", 2222, "The port to listen on; 0 picks a free one.", 0, 65_535),
    Setting(
        "server",
        "public_address",
        "",
        "The name or address that invitations tell people to connect to, with the port where it is\n"
        '# another: "ssh.clinic.example" or "ssh.clinic.example:22". Empty for `host`, if others reach that.',
    ),
    Setting(
        "server", "workers", 0, "Processes that share the port; 0 for as many as there are cores.", 0, 64
    ),
    Setting(
        "server",
        "strict_algorithms",
        False,
        "Offer post-quantum key exchange alone: older clients cannot connect then.",
    ),
    Setting(
        "enrolment",
        "issuer",
        "Twofold",
        f"The name that authenticator apps show, at most {ISSUER_LIMIT} characters.",
    ),
    Setting("smtp", "host", "", "The mail server for codes and notices by e-mail; empty for none."),
    Setting("smtp", "port", 587, "Its port: 587 for starttls, 465 for tls, most often.", 1, 65_535),
    Setting(
        "smtp",
        "security",
        "starttls",
        f"How the way there is protected: {', '.join(SECURITIES)}.",
        choices=tuple(SECURITIES),
    ),
    Setting("smtp", "ca_file", "", "Certificates to trust instead of the system's; empty for the system's."),
    Setting("smtp", "user", "", "The name to sign in with there; empty for none."),
    Setting("smtp", "password", "", "The password to it ..."),
    Setting("smtp", "password_file", "", "... or a file that holds it and that only you can read."),
    Setting("smtp", "from", "", 'The sender, such as "twofold@clinic.example".'),
    Setting(
        "sms",
        "send_command",
        (),
        'The program that sends text messages, such as ["gammu-smsd-inject", "TEXT", "{to}"]. It gets the\n'
        "# number in the place of {to}, the text on its standard input, and no shell; empty for none.",
    ),
    Setting(
        "sms",
        "number",
        "",
        'The number that text messages to you reach, such as "+49 30 1234567": people can then\n'
        "# send a code from their phone instead of typing its number. Empty for none; how messages come in\n"
        "# says: twofold sms received --help",
    ),
    Setting(
        "sending",
        "codes_per_day",
        PER_DAY,
        "Codes that each account sends a day to sign in, and as many to set up.",
    ),
    Setting("passwords", "argon2_passes", _COST.passes, "The cost of a password hash: passes.", 1, 100),
    Setting("passwords", "argon2_memory_kib", _COST.memory, "Memory in KiB.", 8_192, 4_194_304),
    Setting("passwords", "argon2_lanes", _COST.lanes, "Lanes.", 1, 64),
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
    Setting(
        "limits",
        "session_hours",
        LONGEST_SESSION / timedelta(hours=1),
        "Hours after which a session ends, whatever is typed.",
        0.1,
        24 * 365,
    ),
    _limit("keepalive_seconds", "A client is asked for a sign of life this often ..."),
    _limit("keepalive_count", "... and is gone after so many without an answer."),
    _limit("drain_seconds", "Time that open sessions get to end when the server stops.", 0),
    _limit("silence_seconds", "One of several workers that does not answer for so long is replaced."),
    Setting(
        "log",
        "level",
        "info",
        f"How much is logged to stderr: {', '.join(LEVELS)}; info tells of sign-ins.",
        choices=LEVELS,
    ),
    Setting("log", "format", "plain", f"One event a line: {' or '.join(FORMATS)}.", choices=FORMATS),
    Setting(
        "metrics",
        "port",
        0,
        "The port of the loopback interface where Prometheus finds measurements; 0 for none.",
        0,
        65_535,
    ),
)
