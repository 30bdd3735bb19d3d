"""The words of the product as types: what the rules are asked about."""

from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """The account's policy on two-factor authentication, from the loosest to the strictest."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"
    PERMANENT = "permanent"

    @property
    def strictness(self) -> int:
        """The mode's place in the order from loosest (0) to strictest (3)."""
        return list(Mode).index(self)


class Role(StrEnum):
    """What a user may hold beside being a user."""

    SUPPORT = "support"
    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"

    @property
    def label(self) -> str:
        """The role in words, as screens show it."""
        return self.value.replace("_admin", " administrator")


ADMIN_ROLES = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN})
"""The roles of which an account always keeps an active holder."""


class Application(StrEnum):
    """Where a sign-in or an act happens."""

    SSH = "ssh"
    LOCAL = "local"
    HOST = "host"


class Method(StrEnum):
    """A kind of second factor that a user can set up and an account can switch on."""

    APP = "app"
    SMS = "sms"
    EMAIL = "email"

    @property
    def label(self) -> str:
        """The method in words, as screens show it."""
        return {Method.APP: "authenticator app", Method.SMS: "text message", Method.EMAIL: "e-mail"}[self]

    @property
    def is_sent(self) -> bool:
        """Whether its codes are sent to the user, instead of made by the user's phone."""
        return self is not Method.APP


class FirstFactor(StrEnum):
    """What proved the first factor."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - the name of a kind, not a password.


class Status(StrEnum):
    """A user's two-factor status, worded as every table shows it."""

    DEACTIVATED = "Deactivated"
    LOCKED = "Locked"
    NOT_AVAILABLE = "Not available"
    NO = "No"
    PENDING = "Pending setup on next login"
    ENABLED = "Enabled"


@dataclass(frozen=True, slots=True)
class Policy:
    """The account's two-factor policy."""

    mode: Mode
    remember_days: int = 0
    methods: frozenset[Method] = frozenset({Method.APP})


@dataclass(frozen=True, slots=True)
class UserFacts:
    """What the rules know of a user.

    `methods` are those that are on and of which they confirmed a factor, in the order of `Method`;
    `one_time_password` says that the password was set by an administrator or by `init` and must be replaced;
    `lost_factor` that the last factor went otherwise than by being turned off or disabled; `recovery_codes`
    that unused ones outlived that.
    """

    active: bool = True
    locked: bool = False
    one_time_password: bool = False
    required: bool = False
    methods: tuple[Method, ...] = ()
    roles: frozenset[Role] = field(default_factory=frozenset)
    lost_factor: bool = False
    recovery_codes: bool = False

    @property
    def enrolled(self) -> bool:
        """Whether there is a method by which this user can have a code."""
        return bool(self.methods)

    @property
    def can_prove(self) -> bool:
        """Whether there is a second factor that this user can be asked for.

        Whoever lost the last one still has recovery codes: a first factor that was stolen is not
        enough to set a new one up in their place.
        """
        return self.enrolled or (self.lost_factor and self.recovery_codes)

    @property
    def must_use_two_factor(self) -> bool:
        """Whether the flag or a role requires two-factor authentication of this user."""
        return self.required or bool(self.roles)

    @property
    def must_set_up(self) -> bool:
        """Whether this user, not being enrolled, must enrol in any mode but `off`.

        Whoever lost the last factor never falls back to the first one alone.
        """
        return self.must_use_two_factor or self.lost_factor


@dataclass(frozen=True, slots=True)
class Proof:
    """What has been proven in this sign-in so far; the first factor always has."""

    first_factor: FirstFactor
    code: bool = False
    address_remembered: bool = False
