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
    SET_POLICY = "turn two-factor authentication on or change its mode", frozenset({SECURITY})
    TURN_OFF = "turn two-factor authentication off", frozenset({SYSTEM, SECURITY})


def permits(action: Action | SensitiveAction, roles: AbstractSet[Role]) -> bool:
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
