"""Who stands out, and what rests while the mode is off."""

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM

from data.operations.maintenance import accounts
from data.operations.policy import needs_attention, policy_settings
from data.operations.users import lifecycle, user_summaries
from data.operations.users.lifecycle import NewUser
from data.rules.domain_types import Mode, Status
from data.rules.permanent_mode import People
from data.storage import models


@pytest.mark.feature("needs-attention")
@pytest.mark.parametrize("mode", Mode)
def test_needs_attention_in_every_mode(world, mode):
    """Administrators and users without a second factor are shown in every mode."""
    world.enrol("admin")
    for name, roles in (("boss", [SYSTEM]), ("helper", [SUPPORT]), ("anna", [])):
        world.user(name, *roles)
    world.enrol(world.user("carla"))
    world.set(world.user("gone", SECURITY), active=False)
    world.mode(mode)
    assert world.run(needs_attention.show_needs_attention, OPERATOR) == needs_attention.NeedsAttention(
        guessed=People(0, ()),
        admins=People(2, ("admin", "boss")),
        unprotected_admins=People(1, ("boss",)),
        unprotected=People(3, ("anna", "boss", "helper")),
        active=5,
        system_admins=2,
    )


def test_people_of_another_account_do_not_stand_out(world):
    me = world.enrol("admin")
    eve = NewUser("eve", "eve@other.example", password_hash="hash")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", eve)
    seen = world.run(needs_attention.show_needs_attention, me)
    assert (seen.active, seen.admins.names, seen.unprotected.count) == (1, ("admin",), 0)


@pytest.mark.feature("off-rests")
def test_factors_rest_while_off(world):
    """Factors and flags rest and are as they were afterwards."""
    world.enrol(world.user("anna"))
    rows = [list(table.select().tuples()) for table in (models.Factor, models.RecoveryCode)]
    world.run(policy_settings.set_mode, OPERATOR, Mode.OFF, seen=Mode.OPTIONAL)
    new = NewUser("bob", "bob@clinic.example", required=True)
    message = world.run(lifecycle.create_user, OPERATOR, new).message
    assert message == "User bob created. Takes effect when 2FA is turned on."
    for name in ("anna", "bob"):
        assert world.run(user_summaries.user_detail, OPERATOR, name).status is Status.NOT_AVAILABLE
    assert [list(table.select().tuples()) for table in (models.Factor, models.RecoveryCode)] == rows
    world.run(policy_settings.set_mode, OPERATOR, Mode.OPTIONAL, seen=Mode.OFF)
    shown = {name: world.run(user_summaries.user_detail, OPERATOR, name).status for name in ("anna", "bob")}
    assert shown == {"anna": Status.ENABLED, "bob": Status.PENDING}
