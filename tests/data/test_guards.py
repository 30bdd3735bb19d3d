"""Guards: who acts is looked up in the transaction of the act, and what is denied is not begun."""

import inspect

import pytest
from support.database import OPERATOR, SECURITY, SUPPORT, SYSTEM, World

from data.operations.actors import Acting, ActingOperator, ActingUser, Member
from data.operations.guards import require_operator, require_permission, require_user
from data.operations.results import Denied, Done, FreshProofNeeded, SessionOver
from data.operations.users.target_user import Target
from data.operations.users.user_acts import require_target
from data.rules.permissions import Action, SensitiveAction, UserAct
from data.rules.policy import MustEnrol

NOT_YOU = Denied("Only the operator.")


@pytest.fixture
def begun():
    return []


@pytest.fixture
def acts(begun):
    """Return an operation of each kind, which keeps whom it was handed."""

    @require_permission(Action.MANAGE_PEOPLE)
    def of_admin(acting: Acting, word: str) -> Done:
        begun.append(acting)
        return Done(f"{word} by {acting.name}")

    @require_permission(SensitiveAction.SET_POLICY)
    def of_prover(acting: Acting, word: str) -> Done:
        begun.append(acting)
        return Done(f"{word} by {acting.name}")

    @require_user(restricted=(MustEnrol,))
    def of_user(me: ActingUser, word: str) -> Done:
        begun.append(me)
        return Done(f"{word} by {me.user.name}")

    @require_operator(NOT_YOU)
    def of_operator(acting: ActingOperator, word: str) -> Done:
        begun.append(acting)
        return Done(f"{word} by {acting.operator.login}")

    @require_target(UserAct.REQUIRE)
    def of_target(found: Target, word: str) -> Done:
        begun.append(found)
        return Done(f"{word} on {found.user.name}")

    return of_admin, of_prover, of_user, of_operator, of_target


def test_who_passes_is_handed_on_with_the_transaction(world: World, acts, begun):
    of_admin, of_prover, of_user, of_operator, of_target = acts
    boss = world.session(world.user("boss", SYSTEM, SECURITY))
    world.user("anna")
    assert world.run(of_admin, boss, "done") == Done("done by boss")
    assert world.run(of_prover, boss, word="done") == Done("done by boss")
    assert world.run(of_user, boss, "done") == Done("done by boss")
    assert world.run(of_operator, OPERATOR, "done") == Done(f"done by {OPERATOR.login}")
    assert world.run(of_target, boss, "anna", "done") == Done("done on anna")
    assert {each.tx.now for each in begun} == {world.clock.now}
    assert [each.tx.database for each in begun] == [world.database] * 5


def test_what_is_denied_is_not_begun(world: World, acts, begun):
    of_admin, of_prover, of_user, of_operator, of_target = acts
    helper = world.session(world.user("helper", SUPPORT))
    guard = world.session(world.user("guard", SECURITY))
    world.user("boss", SYSTEM)
    assert world.run(of_admin, helper, "") == Denied(Action.MANAGE_PEOPLE.who_can)
    assert world.run(of_user, OPERATOR, "") == Denied("The operator has no profile. Name a user instead.")
    assert world.run(of_operator, helper, "") == NOT_YOU
    assert world.run(of_target, guard, "nobody", "") == Denied("The user was not found.")
    assert "holds a role that you do not" in world.run(of_target, guard, "boss", "").message
    world.clock.forward(minutes=6)
    assert isinstance(world.run(of_prover, guard, ""), FreshProofNeeded)
    world.clock.forward(hours=12)
    for act in (of_admin, of_prover, of_user, of_operator):
        assert isinstance(world.run(act, guard, ""), SessionOver)
    assert begun == []


def test_a_restricted_session_passes_only_where_its_step_is_named(world: World, acts, begun):
    of_admin, _, of_user, of_operator, of_target = acts
    newcomer = world.user("newcomer", SYSTEM)
    me = Member(world.restricted(newcomer, MustEnrol).id)
    assert world.run(of_user, me, "done") == Done("done by newcomer")
    for act, *words in ((of_admin, ""), (of_target, newcomer, "")):
        assert world.run(act, me, *words) == Denied("Finish signing in first.")
    assert world.run(of_operator, me, "") == NOT_YOU
    assert len(begun) == 1


def test_an_operation_is_annotated_for_those_who_call_it(acts):
    for act in acts:
        taken = inspect.get_annotations(act)
        assert {"tx", "actor"} <= taken.keys()
        assert not {"acting", "me", "found"} & taken.keys()
        assert act.__name__.startswith("of_")
