"""Who may do what: the table of `data/rules/permissions.py`, every role against every act."""

from itertools import combinations

import pytest

from data.rules.domain_types import Mode, Role
from data.rules.permissions import (
    Action,
    SensitiveAction,
    action_to_enter,
    action_to_grant,
    outranks,
    permits,
)

SUPPORT, SYSTEM, SECURITY = Role.SUPPORT, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN
TABLE = {
    Action.SEE_PEOPLE: {SUPPORT, SYSTEM, SECURITY},
    Action.MANAGE_PEOPLE: {SYSTEM},
    Action.MANAGE_PRACTICES: {SYSTEM},
    Action.END_SESSIONS: {SYSTEM},
    Action.REQUIRE_TWO_FACTOR: {SYSTEM, SECURITY},
    Action.SEE_APPLICATIONS: {SUPPORT, SYSTEM, SECURITY},
    Action.SEE_TARGETS: {SYSTEM, SECURITY},
    Action.TEST_DELIVERY: {SYSTEM, SECURITY},
    SensitiveAction.EMPOWER_PEOPLE: {SYSTEM},
    SensitiveAction.CHANGE_ROLES: {SYSTEM, SECURITY},
    SensitiveAction.GRANT_SYSTEM_ROLES: {SYSTEM},
    SensitiveAction.GRANT_SECURITY_ROLE: {SECURITY},
    SensitiveAction.RESET_TWO_FACTOR: {SYSTEM, SECURITY},
    SensitiveAction.UNLOCK: {SYSTEM},
    SensitiveAction.MAKE_TEMPORARY_CODE: {SYSTEM},
    SensitiveAction.SET_POLICY: {SECURITY},
    SensitiveAction.MANAGE_APPLICATIONS: {SECURITY},
    SensitiveAction.MANAGE_TARGETS: {SECURITY},
    SensitiveAction.MANAGE_PRINCIPALS: {SECURITY},
    SensitiveAction.TURN_OFF: {SYSTEM, SECURITY},
}
ROLE_SETS = [frozenset(chosen) for size in range(4) for chosen in combinations(Role, size)]


def test_the_table_names_every_act_there_is():
    assert set(TABLE) == {*Action, *SensitiveAction}


@pytest.mark.feature("acts-by-role")
@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("roles", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
def test_exactly_the_roles_of_the_table(action, roles):
    assert permits(action, roles) == bool(roles & TABLE[action])


def test_each_role_is_granted_by_the_act_of_the_table():
    assert {role: action_to_grant(role) for role in Role} == {
        SUPPORT: SensitiveAction.GRANT_SYSTEM_ROLES,
        SYSTEM: SensitiveAction.GRANT_SYSTEM_ROLES,
        SECURITY: SensitiveAction.GRANT_SECURITY_ROLE,
    }


@pytest.mark.feature("who-turns-on")
def test_system_administrators_only_turn_off():
    assert {mode: action_to_enter(mode) for mode in Mode} == {
        Mode.OFF: SensitiveAction.TURN_OFF,
        Mode.OPTIONAL: SensitiveAction.SET_POLICY,
        Mode.REQUIRED: SensitiveAction.SET_POLICY,
        Mode.PERMANENT: SensitiveAction.SET_POLICY,
    }


@pytest.mark.parametrize("actor", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
@pytest.mark.parametrize("subject", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "user")
def test_resets_need_the_roles_of_the_target(actor, subject):
    includes_support = {Role.SUPPORT} if actor & {Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN} else set()
    assert outranks(actor, subject) == all(role in actor | includes_support for role in subject)


@pytest.mark.feature("who-can")
def test_a_denial_names_who_can():
    assert SensitiveAction.UNLOCK.who_can == "Only a system administrator can unlock people."
    assert Action.SEE_PEOPLE.who_can.startswith(
        "Only support, a system administrator or a security administrator can"
    )
