"""Who may do what: the design's table, every role against every act."""

from itertools import combinations

import pytest

from data.rules.facts import Mode, Role
from data.rules.permissions import Action, action_to_enter, action_to_grant, outranks, permits

SUPPORT, SYSTEM, SECURITY = Role.SUPPORT, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN
TABLE = {
    Action.SEE_PEOPLE: {SUPPORT, SYSTEM, SECURITY},
    Action.MANAGE_PEOPLE: {SYSTEM},
    Action.GRANT_SYSTEM_ROLES: {SYSTEM},
    Action.GRANT_SECURITY_ROLE: {SECURITY},
    Action.CONTROL_TWO_FACTOR: {SYSTEM, SECURITY},
    Action.MANAGE_PRACTICES: {SYSTEM},
    Action.UNLOCK: {SYSTEM},
    Action.END_SESSIONS: {SYSTEM},
    Action.SET_POLICY: {SECURITY},
    Action.TURN_OFF: {SYSTEM, SECURITY},
}
ROLE_SETS = [frozenset(chosen) for size in range(4) for chosen in combinations(Role, size)]


def test_the_table_names_every_act_there_is():
    assert set(TABLE) == set(Action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("roles", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
def test_an_act_is_permitted_to_exactly_the_roles_of_the_table(action, roles):
    assert permits(action, roles) == bool(roles & TABLE[action])


def test_each_role_is_granted_by_the_act_of_the_table():
    assert {role: action_to_grant(role) for role in Role} == {
        SUPPORT: Action.GRANT_SYSTEM_ROLES,
        SYSTEM: Action.GRANT_SYSTEM_ROLES,
        SECURITY: Action.GRANT_SECURITY_ROLE,
    }


def test_only_turning_off_is_open_to_system_administrators():
    assert {mode: action_to_enter(mode) for mode in Mode} == {
        Mode.OFF: Action.TURN_OFF,
        Mode.OPTIONAL: Action.SET_POLICY,
        Mode.REQUIRED: Action.SET_POLICY,
        Mode.PERMANENT: Action.SET_POLICY,
    }


@pytest.mark.parametrize("actor", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
@pytest.mark.parametrize("subject", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
def test_nobody_resets_someone_who_holds_a_role_they_lack(actor, subject):
    includes_support = {Role.SUPPORT} if actor & {Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN} else set()
    assert outranks(actor, subject) == all(role in actor | includes_support for role in subject)


def test_a_denial_names_who_can():
    assert Action.UNLOCK.who_can == "Only a system administrator can unlock people."
    assert Action.SEE_PEOPLE.who_can.startswith(
        "Only support, a system administrator or a security administrator can"
    )
