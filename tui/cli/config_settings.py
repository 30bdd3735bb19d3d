"""Every setting of `twofold.toml`: its default, its meaning and its range."""

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
    """One line of the file, with the range of its number or the choices for its text."""

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
        "# in this folder. Put its password in ~/.pgpass ...",
    ),
    Setting("", "database_password_file", "", "... or in a file that only you can read."),
    Setting("server", "host", "127.0.0.1", "The address to listen on; 0.0.0.0 or :: for every interface."),
    Setting("server", "port", 2222, "The port to listen on; 0 picks a free one.", 0, 65_535),
    Setting(
        "server",
        "public_address",
        "",
        "The name or address that invitations tell people to connect to, with the port if it differs:\n"
        '# "ssh.clinic.example" or "ssh.clinic.example:22". Empty to use `host`, if others can reach it.',
    ),
    Setting("server", "workers", 0, "Processes that share the port; 0 for one per core.", 0, 64),
    Setting(
        "server",
        "strict_algorithms",
        False,
        "Offer only post-quantum key exchange; older clients cannot connect.",
    ),
    Setting(
        "enrolment",
        "issuer",
        "Twofold",
        f"The name that authenticator apps show; at most {ISSUER_LIMIT} characters.",
    ),
    Setting("smtp", "host", "", "The mail server for codes and notices by e-mail; empty for none."),
    Setting("smtp", "port", 587, "Its port: usually 587 for starttls, 465 for tls.", 1, 65_535),
    Setting(
        "smtp",
        "security",
        "starttls",
        f"How the connection to it is protected: {', '.join(SECURITIES)}.",
        choices=tuple(SECURITIES),
    ),
    Setting("smtp", "ca_file", "", "Certificates to trust instead of the system's; empty for the system's."),
    Setting("smtp", "user", "", "The user name to sign in with; empty for none."),
    Setting("smtp", "password", "", "The password for it ..."),
    Setting("smtp", "password_file", "", "... or a file with the password that only you can read."),
    Setting("smtp", "from", "", 'The sender, such as "twofold@clinic.example".'),
    Setting(
        "sms",
        "send_command",
        (),
        'The program that sends text messages, such as ["gammu-smsd-inject", "TEXT", "{to}"]. It gets the\n'
        "# number in place of {to} and the text on standard input, and runs without a shell; empty for none.",
    ),
    Setting(
        "sms",
        "number",
        "",
        'The number that receives text messages for you, such as "+49 30 1234567": people can then\n'
        "# send a code from their phone instead of typing its number. Empty for none. To connect a gateway,\n"
        "# see: twofold sms received --help",
    ),
    Setting(
        "sending",
        "codes_per_day",
        PER_DAY,
        "Codes that each account may send a day for sign-in, and as many for setup.",
    ),
    Setting("passwords", "argon2_passes", _COST.passes, "The cost of a password hash: passes, ...", 1, 100),
    Setting("passwords", "argon2_memory_kib", _COST.memory, "... memory in KiB ...", 8_192, 4_194_304),
    Setting("passwords", "argon2_lanes", _COST.lanes, "... and lanes.", 1, 64),
    _limit("wrong_answers", "Wrong answers and bad signatures after which a connection is closed."),
    _limit("unknown_keys", "Unknown keys after which a connection is closed; agents hold many."),
    _limit("first_factor_seconds", "Seconds to pass the first factor."),
    _limit(
        "second_factor_seconds",
        "Seconds to pass the second factor after that: people must fetch their phone.",
    ),
    _limit("connections_per_second", "Connections that one IPv4 address or IPv6 /64 may open in a second."),
    _limit(
        "connections_per_source",
        "Connections from one IPv4 address or IPv6 /64 that have not passed the first factor.",
    ),
    _limit("unauthenticated_connections", "Connections in total that have not passed the first factor."),
    _limit("sessions_per_user", "Open sessions per user."),
    _limit("commands_per_user", "Commands over SSH that a user may run at the same time."),
    _limit("sessions_per_connection", "Open sessions per connection."),
    _limit("jumps_per_connection", "Open jumps to targets per connection."),
    _limit("jumps_per_user", "Open jumps to targets per user."),
    _limit("idle_minutes", "Minutes without a key press after which a session ends."),
    Setting(
        "limits",
        "session_hours",
        LONGEST_SESSION / timedelta(hours=1),
        "Hours after which a session ends, even if it is in use.",
        0.1,
        24 * 365,
    ),
    _limit("keepalive_seconds", "Seconds between keep-alive requests to a client ..."),
    _limit("keepalive_count", "... and how many may go unanswered before the connection is closed."),
    _limit("drain_seconds", "Seconds that open sessions have to end when the server stops.", 0),
    _limit("silence_seconds", "Seconds without an answer after which one of several workers is replaced."),
    Setting(
        "log",
        "level",
        "info",
        f"How much is logged to stderr: {', '.join(LEVELS)}; info includes sign-ins.",
        choices=LEVELS,
    ),
    Setting(
        "log",
        "format",
        "plain",
        f"The format of the log, one event per line: {' or '.join(FORMATS)}.",
        choices=FORMATS,
    ),
    Setting(
        "certificates",
        "reserved",
        (),
        'Principals that only the operator gives, besides root, such as ["postgres", "deploy"]; the same\n'
        "# on every node. A user of such a name does not get it as a principal either.",
    ),
    Setting(
        "http",
        "listen",
        "",
        'The address and port where other applications ask over HTTP, such as "127.0.0.1:8443"; empty for\n'
        "# none. On any address but loopback it needs both files:",
    ),
    Setting(
        "http",
        "certificate",
        "",
        "The certificate with its chain, in PEM; it is read again when it changes ...",
    ),
    Setting("http", "key", "", "... and its key, in PEM."),
    Setting(
        "http",
        "proxies",
        (),
        'Addresses or networks of proxies whose X-Forwarded-For is believed, such as ["127.0.0.1"].',
    ),
    Setting(
        "radius",
        "listen",
        "",
        'The address and port where other applications ask by RADIUS, such as "127.0.0.1:1812"; empty\n'
        "# for none.",
    ),
    Setting(
        "forwarding",
        "networks",
        (),
        "Addresses or networks that targets of `ssh -J` may be in unless the operator added them on the\n"
        '# host, such as ["10.1.0.0/16"]. Empty by default: then only those of the operator work.',
    ),
    Setting(
        "metrics",
        "port",
        0,
        "The port on 127.0.0.1 where Prometheus can read metrics; 0 for none.",
        0,
        65_535,
    ),
)
