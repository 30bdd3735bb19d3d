"""Who may do what. Operations ask here; screens never decide."""

from collections.abc import Set as AbstractSet
from enum import Enum

from data.rules.domain_types import ADMIN_ROLES, Mode, Role

SUPPORT, SYSTEM, SECURITY = Role.SUPPORT, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN


class _Permission(Enum):
    """An act in words, and the roles that may do it."""

    def __init__(self, words: str, roles: frozenset[Role]) -> None:
        self.words = words
        self.roles = roles

    @property
    def who_can(self) -> str:
        """A sentence that names the roles that may do this."""
        names = [
            f"a {role.label}" if role is not SUPPORT else "support" for role in Role if role in self.roles
        ]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"Only {listed} can {self.words}."


class Action(_Permission):
    """An act on other users or on the account for which a signed-in session is enough."""

    SEE_PEOPLE = "see the people and the activity", frozenset({SUPPORT, SYSTEM, SECURITY})
    MANAGE_PEOPLE = "manage people", frozenset({SYSTEM})
    MANAGE_PRACTICES = "manage practices", frozenset({SYSTEM})
    END_SESSIONS = "end other users' sessions", frozenset({SYSTEM})
    REQUIRE_TWO_FACTOR = "require two-factor authentication", frozenset({SYSTEM, SECURITY})
    SEE_APPLICATIONS = "see the applications", frozenset({SUPPORT, SYSTEM, SECURITY})
    SEE_TARGETS = "see the targets", frozenset({SYSTEM, SECURITY})
    TEST_DELIVERY = "send test messages", frozenset({SYSTEM, SECURITY})


class SensitiveAction(_Permission):
    """An act that also needs a fresh code (OWASP ASVS 5.0, 7.5.3).

    It creates, enables or empowers someone, changes how they prove who they are or how they are reached,
    or changes what everyone must do.
    """

    EMPOWER_PEOPLE = "add people or change their sign-in or contact details", frozenset({SYSTEM})
    CHANGE_ROLES = "grant or take roles", frozenset({SYSTEM, SECURITY})
    GRANT_SYSTEM_ROLES = "grant or take the roles support and system administrator", frozenset({SYSTEM})
    GRANT_SECURITY_ROLE = "grant or take the role security administrator", frozenset({SECURITY})
    RESET_TWO_FACTOR = "disable or clear two-factor authentication", frozenset({SYSTEM, SECURITY})
    UNLOCK = "unlock people", frozenset({SYSTEM})
    MAKE_TEMPORARY_CODE = "make temporary codes", frozenset({SYSTEM})
    MANAGE_PRINCIPALS = "give or take principals", frozenset({SECURITY})
    SET_POLICY = "turn two-factor authentication on or change its mode", frozenset({SECURITY})
    MANAGE_APPLICATIONS = "manage applications", frozenset({SECURITY})
    MANAGE_TARGETS = "manage targets", frozenset({SECURITY})
    TURN_OFF = "turn two-factor authentication off", frozenset({SYSTEM, SECURITY})


Permission = Action | SensitiveAction


class UserAct(Enum):
    """An act of an administrator on one user; the value is the name that screens give it."""

    REQUIRE = "require"
    STOP_REQUIRING = "stop_requiring"
    DISABLE = "disable"
    CLEAR = "clear"
    UNLOCK = "unlock"
    ONE_TIME_PASSWORD = "one_time_password"  # noqa: S105 - the name of an act, not a password.
    TEMPORARY_CODE = "temporary_code"
    INVITE = "invite"
    INVITE_ON_PAPER = "invite_on_paper"
    REMIND = "remind"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    EDIT = "edit"
    CHANGE_CONTACT = "change_contact"
    MOVE = "move"
    ROLES = "roles"
    PRINCIPALS = "principals"
    ADD_KEY = "add_key"
    REMOVE_KEY = "remove_key"
    RESYNC = "resync"
    FORGET = "forget"
    DELETE = "delete"

    @property
    def permission(self) -> Permission:
        """The permission that it needs."""
        return _NEEDS[self]

    @property
    def resets(self) -> bool:
        """Whether it changes a user's password, keys or second factor, or that they must have one.

        Nobody does so to someone who holds a role that they lack.
        """
        return self in _RESETS


_NEEDS: dict[UserAct, Permission] = {
    UserAct.REQUIRE: Action.REQUIRE_TWO_FACTOR,
    UserAct.STOP_REQUIRING: SensitiveAction.RESET_TWO_FACTOR,
    UserAct.DISABLE: SensitiveAction.RESET_TWO_FACTOR,
    UserAct.CLEAR: SensitiveAction.RESET_TWO_FACTOR,
    UserAct.UNLOCK: SensitiveAction.UNLOCK,
    UserAct.ONE_TIME_PASSWORD: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.TEMPORARY_CODE: SensitiveAction.MAKE_TEMPORARY_CODE,
    UserAct.INVITE: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.INVITE_ON_PAPER: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.REMIND: Action.REQUIRE_TWO_FACTOR,
    UserAct.ACTIVATE: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.DEACTIVATE: Action.MANAGE_PEOPLE,
    UserAct.EDIT: Action.MANAGE_PEOPLE,
    UserAct.CHANGE_CONTACT: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.MOVE: Action.MANAGE_PEOPLE,
    UserAct.ROLES: SensitiveAction.CHANGE_ROLES,
    UserAct.PRINCIPALS: SensitiveAction.MANAGE_PRINCIPALS,
    UserAct.ADD_KEY: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.REMOVE_KEY: SensitiveAction.EMPOWER_PEOPLE,
    UserAct.RESYNC: SensitiveAction.RESET_TWO_FACTOR,
    UserAct.FORGET: Action.REQUIRE_TWO_FACTOR,
    UserAct.DELETE: SensitiveAction.EMPOWER_PEOPLE,
}
_RESETS = frozenset(
    {
        UserAct.REQUIRE,
        UserAct.STOP_REQUIRING,
        UserAct.DISABLE,
        UserAct.CLEAR,
        UserAct.ONE_TIME_PASSWORD,
        UserAct.TEMPORARY_CODE,
        UserAct.INVITE,
        UserAct.INVITE_ON_PAPER,
        UserAct.ADD_KEY,
        UserAct.REMOVE_KEY,
        UserAct.RESYNC,
        UserAct.DELETE,
    }
)


class OwnAct(Enum):
    """An act of users on their own things that depends on their state; the value is as in `UserAct`."""

    SET_UP = "set_up"
    TURN_OFF = "turn_off"
    RECOVERY_CODES = "recovery_codes"
    ADD_KEY = "add_key"
    REMOVE_KEY = "remove_key"
    FORGET = "forget"
    END_SESSIONS = "end_sessions"


def permits(action: Permission, roles: AbstractSet[Role]) -> bool:
    """Whether someone with these roles may do this."""
    return bool(action.roles & roles)


def action_to_grant(role: Role) -> SensitiveAction:
    """Return the act of granting or removing a role."""
    return SensitiveAction.GRANT_SECURITY_ROLE if role is SECURITY else SensitiveAction.GRANT_SYSTEM_ROLES


def action_to_enter(mode: Mode) -> SensitiveAction:
    """Return the act of changing the account to a mode."""
    return SensitiveAction.TURN_OFF if mode is Mode.OFF else SensitiveAction.SET_POLICY


def outranks(actor: AbstractSet[Role], subject: AbstractSet[Role]) -> bool:
    """Whether an admin may reset a user: never someone who holds a role that the admin lacks.

    Either admin role includes everything that support may do, so support protects no one from an admin.
    """
    held = actor | {SUPPORT} if actor & ADMIN_ROLES else actor
    return subject <= held
