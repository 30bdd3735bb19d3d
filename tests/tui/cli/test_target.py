"""`target list` and `me targets`: what no one can reach is listed as such."""

import json

import pytest
from support.database import OPERATOR, SECURITY
from support.own_commands import run_as, run_me

from data.operations.targets import jumps, registry
from data.rules.targets import NewTarget


@pytest.mark.feature("targets", "targets-refusals")
def test_what_no_one_can_reach_says_so(world):
    """To those who manage it with the reason; to its users without a line that would fail."""
    world.user("boss", SECURITY)
    world.user("ben")
    boss, ben = world.enrol("boss"), world.enrol("ben")
    world.run(registry.add_target, OPERATOR, NewTarget("db1", "10.0.0.5"))
    added = run_as(world, boss, "target", "add", "web1", "--host", "10.0.0.6")
    assert added.says("No one can reach it yet: [forwarding] networks in twofold.toml is empty.")
    heading, db1, web1 = run_as(world, boss, "target", "list").out.splitlines()
    assert heading.endswith("STATE")
    assert (db1.split()[-1], web1.split()[-1]) == ("account", "unreachable")
    listed = json.loads(run_as(world, boss, "target", "list", "--json").out)
    assert [(each["name"], bool(each["why_unreachable"])) for each in listed] == [
        ("db1", False),
        ("web1", True),
    ]
    assert run_me(world, ben, "targets").says(
        "db1: ssh -J ben@ssh.clinic.example:2222 db1",
        "web1: cannot be reached yet. Ask a security administrator why.",
    )
    mine = json.loads(run_me(world, ben, "targets", "--json").out)
    assert [each["reachable"] for each in mine] == [True, False]
    refused = world.run(jumps.find_target, ben, "db9", 22)
    assert refused.message == "db9:22 is not among your targets: db1."
