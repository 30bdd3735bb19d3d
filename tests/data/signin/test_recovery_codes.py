"""Recovery codes after enrolment: saved, replaced, renewed."""

import pytest
from support.database import World

from data.operations.actors import Member
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded
from data.operations.signin import admission, recovery_codes
from data.operations.signin.code_verification import CodeWrong
from data.operations.signin.recovery_codes import NewRecoveryCodes
from data.operations.users import credentials, factor_administration
from data.rules.domain_types import Mode
from data.storage import models


@pytest.fixture
def anna(world: World) -> Member:
    """An enrolled user who has not said that the codes are saved."""
    member = world.person("anna")
    world.wizard("anna", member)
    return member


def test_unsaved_codes_are_replaced(world, anna):
    """Codes that were not saved are replaced at the next sign-in."""
    next_session = world.session("anna")
    shown = world.run(recovery_codes.replace_unsaved_codes, next_session)
    assert isinstance(shown, NewRecoveryCodes)
    assert len(set(shown.recovery_codes)) == 5
    assert not set(shown.recovery_codes) & set(world.recovery["anna"])
    assert world.submit(world.attempt("anna"), world.recovery["anna"][0]) == CodeWrong(6)
    assert isinstance(world.submit(world.attempt("anna"), shown.recovery_codes[0]), admission.Admitted)


def test_they_are_replaced_until_they_are_saved(world, anna):
    first = world.run(recovery_codes.replace_unsaved_codes, world.session("anna"))
    second = world.run(recovery_codes.replace_unsaved_codes, world.session("anna"))
    assert first != second
    world.run(recovery_codes.confirm_saved, anna)
    assert world.run(recovery_codes.replace_unsaved_codes, world.session("anna")) is None
    assert isinstance(world.submit(world.attempt("anna"), second.recovery_codes[4]), admission.Admitted)


def test_codes_that_others_replaced_cannot_be_confirmed_as_saved(world, anna):
    """Of two windows that each show new codes, only the second shows codes that work."""
    first = world.run(recovery_codes.renew_recovery_codes, anna).recovery_codes
    second = world.run(recovery_codes.renew_recovery_codes, anna).recovery_codes
    refused = world.run(recovery_codes.confirm_saved, anna, first)
    assert (type(refused), world.row("anna").recovery_saved) == (recovery_codes.CodesReplaced, False)
    assert "Newer recovery codes have replaced these" in refused.message
    assert isinstance(world.run(recovery_codes.confirm_saved, anna, second), Done)


@pytest.mark.parametrize("change", ["mode off", "disabled"])
def test_nothing_is_replaced_where_nothing_is_in_use(world, anna, change):
    if change == "mode off":
        world.mode(Mode.OFF)
    else:
        world.run(factor_administration.disable_two_factor, world.session("admin"), "anna")
        anna = world.session("anna")
    assert world.run(recovery_codes.replace_unsaved_codes, anna) is None


@pytest.mark.feature("renew-codes")
def test_renewing(world, anna):
    """It kills the old codes and asks to save the new ones."""
    world.run(recovery_codes.confirm_saved, anna)
    renewed = world.run(recovery_codes.renew_recovery_codes, anna)
    assert len(renewed.recovery_codes) == 5
    assert not world.row("anna").recovery_saved
    assert world.events(user="anna", last=1) == ["recovery.renewed"]
    assert [world.submit(world.attempt("anna"), code) for code in world.recovery["anna"]] == [
        CodeWrong(left) for left in (6, 5, 4, 3, 2)
    ]
    assert isinstance(world.submit(world.attempt("anna"), renewed.recovery_codes[0]), admission.Admitted)


def test_renewing_asks_for_a_fresh_code(world, anna):
    world.clock.forward(minutes=6)
    assert world.run(recovery_codes.renew_recovery_codes, anna) == FreshProofNeeded(FreshProof.CODE)
    world.run(credentials.confirm_fresh_code, anna, world.code("anna"))
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, anna), NewRecoveryCodes)


def test_a_recovery_code_is_a_fresh_code_too(world, anna):
    world.clock.forward(minutes=6)
    world.run(credentials.confirm_fresh_code, anna, world.recovery["anna"][0])
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, anna), NewRecoveryCodes)


def test_there_are_no_codes_without_an_app(world):
    bob = world.person("bob")
    assert isinstance(world.run(recovery_codes.renew_recovery_codes, bob), Denied)
    assert models.RecoveryCode.select().count() == 0


def test_no_code_on_disk_or_in_a_repr(world, anna):
    renewed = world.run(recovery_codes.renew_recovery_codes, anna)
    on_disk = world.file_bytes()
    for code in (*world.recovery["anna"], *renewed.recovery_codes):
        assert code.encode() not in on_disk
        assert code.replace("-", "")[4:].encode() not in on_disk
        assert code not in repr(renewed)
