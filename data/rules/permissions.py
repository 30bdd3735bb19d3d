"""Who may do what, as the design's table has it. Operations ask here; screens never decide."""

from collections.abc import Set as AbstractSet
from enum import Enum

from data.rules.facts import ADMIN_ROLES, Mode, Role

SUPPORT, SYSTEM, SECURITY = Role.SUPPORT, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN


class Action(Enum):
    """An act on other people or on the account, with the roles that may do it."""

    SEE_PEOPLE = "see the people and the activity", frozenset({SUPPORT, SYSTEM, SECURITY})
    MANAGE_PEOPLE = "manage people", frozenset({SYSTEM})
    MANAGE_PRACTICES = "manage practices", frozenset({SYSTEM})
    END_SESSIONS = "end sessions of others", frozenset({SYSTEM})
    GRANT_SYSTEM_ROLES = "grant or take the roles support and system administrator", frozenset({SYSTEM})
    GRANT_SECURITY_ROLE = "grant or take the role security administrator", frozenset({SECURITY})
    CONTROL_TWO_FACTOR = "require, disable or clear two-factor authentication", frozenset({SYSTEM, SECURITY})
    UNLOCK = "unlock people", frozenset({SYSTEM})
    SET_POLICY = "turn two-factor authentication on or change its mode", frozenset({SECURITY})
    TURN_OFF = "turn two-factor authentication off", frozenset({SYSTEM, SECURITY})

    def __init__(self, words: str, roles: frozenset[Role]) -> None:
        self.words = words
        self.roles = roles

    @property
    def who_can(self) -> str:
        """A sentence that names who may do this."""
        names = [
            f"a {role.label}" if role is not SUPPORT else "support" for role in Role if role in self.roles
        ]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"Only {listed} can {self.words}."


def permits(action: Action, roles: AbstractSet[Role]) -> bool:
    """Whether someone with these roles may do this."""
    return bool(action.roles & roles)


def action_to_grant(role: Role) -> Action:
    """Name the act of granting or taking a role."""
    return Action.GRANT_SECURITY_ROLE if role is SECURITY else Action.GRANT_SYSTEM_ROLES


def action_to_enter(mode: Mode) -> Action:
    """Name the act of changing the account to a mode."""
    return Action.TURN_OFF if mode is Mode.OFF else Action.SET_POLICY


def outranks(actor: AbstractSet[Role], subject: AbstractSet[Role]) -> bool:
    """Whether an admin may reset a person: never someone who holds a role the admin lacks.

    Either admin role includes all that support may do, so support shields nobody from an admin.
    """
    held = actor | {SUPPORT} if actor & ADMIN_ROLES else actor
    return subject <= held
