"""Second factors that were set up with Google's PAM module go on working here."""

import pytest
from support.database import OPERATOR, SECURITY, SYSTEM, World, totp

from data.operations.results import Denied, Done
from data.operations.signin.admission import Admitted
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.users import google_authenticator_import, user_summaries
from data.operations.users.google_authenticator_import import Unfit
from data.rules.domain_types import Status
from data.rules.google_authenticator_file import AuthenticatorFile, read_file
from data.rules.totp import step_at
from data.storage import models

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def file(*scratch: str, used: int = 0) -> AuthenticatorFile:
    text = f'{SECRET}\n" DISALLOW_REUSE {used}\n" TOTP_AUTH\n' + "\n".join(scratch)
    read = read_file(text.encode())
    assert isinstance(read, AuthenticatorFile)
    return read


def take(world: World, *files, actor=OPERATOR):
    return world.run(google_authenticator_import.take_over, actor, files)


@pytest.fixture
def anna(world: World) -> str:
    return world.user("anna")


@pytest.mark.feature("import-google")
def test_the_phone_goes_on_showing_the_right_codes(world, anna):
    assert take(world, (anna, file())) == Done("Imported the authenticator app of 1 user.")
    assert world.run(user_summaries.user_detail, OPERATOR, anna).status is Status.ENABLED
    code = totp(SECRET, world.clock.now)
    assert isinstance(world.submit(world.attempt(anna), code), Admitted)
    assert isinstance(world.submit(world.attempt(anna), code), CodeAlreadyUsed)
    assert "two_factor.taken_over" in world.events(user=anna)


@pytest.mark.feature("import-google")
def test_scratch_codes_the_module_never_read(world, anna):
    """They are left out, and the result says so."""
    given = (anna, file("12345678", "02345678", "87654321"))
    found = world.run(google_authenticator_import.find_unfit, OPERATOR, [given])
    done = take(world, given)
    for result in (found, done):
        assert isinstance(result, Done)
        assert "Scratch codes were left out" in result.message
        assert result.message.endswith(": 2 of anna.")
    assert world.run(user_summaries.user_detail, OPERATOR, anna).recovery_codes_left == 1
    assert isinstance(world.submit(world.attempt(anna), "87654321"), CodeWrong)


@pytest.mark.feature("import-google")
def test_scratch_codes_are_good_once(world, anna):
    take(world, (anna, file("12345678", "87654321")))
    assert world.run(user_summaries.user_detail, OPERATOR, anna).recovery_codes_left == 2
    admitted = world.submit(world.attempt(anna), "1234 5678")
    assert isinstance(admitted, Admitted)
    assert admitted.session.notices[0].startswith("1 recovery code left")
    assert isinstance(world.submit(world.attempt(anna), "12345678"), CodeAlreadyUsed)
    assert world.submit(world.attempt(anna), "12345679") == CodeWrong(6)
    assert isinstance(world.submit(world.attempt(anna), "87654321"), Admitted)
    assert world.row(anna).attempts_left == 7


def test_a_scratch_code_of_another_user_is_wrong(world, anna):
    world.user("ben")
    take(world, (anna, file("12345678")), ("ben", file("87654321")))
    assert isinstance(world.submit(world.attempt(anna), "87654321"), CodeWrong)


def test_seven_guesses_at_scratch_codes_lock(world, anna):
    take(world, (anna, file("12345678")))
    attempt = world.attempt(anna)
    for guess in range(7):
        world.submit(attempt, f"2345678{guess}")
    assert world.row(anna).locked_at is not None


def test_a_code_that_was_used_there_is_dead_here(world, anna):
    now = step_at(world.clock.now)
    take(world, (anna, file(used=now)))
    assert isinstance(world.submit(world.attempt(anna), totp(SECRET, world.clock.now)), CodeAlreadyUsed)
    world.clock.forward(seconds=30)
    assert isinstance(world.submit(world.attempt(anna), totp(SECRET, world.clock.now)), Admitted)


def test_a_file_from_the_future_shuts_nobody_out(world, anna):
    take(world, (anna, file(used=10**9)))
    world.clock.forward(seconds=90)
    assert isinstance(world.submit(world.attempt(anna), totp(SECRET, world.clock.now)), Admitted)


def test_all_or_none_and_each_unfit_user_is_named(world, anna):
    world.enrol(world.user("ben"))
    before = world.dump()
    result = take(world, (anna, file()), ("ben", file()), ("nobody", file()), (anna, file()))
    assert isinstance(result, Unfit)
    assert [name for name, _ in result.reasons] == ["ben", "nobody", "anna"]
    assert world.run(google_authenticator_import.find_unfit, OPERATOR, [("ben", file())]) == Unfit(
        result.reasons[:1]
    )
    assert world.dump() == before


def test_a_dry_run_changes_nothing(world, anna):
    before = world.dump()
    assert isinstance(
        world.run(google_authenticator_import.find_unfit, OPERATOR, [(anna, file("12345678"))]), Done
    )
    assert world.dump() == before


def test_no_administrator_can_hand_someone_a_secret(world, anna):
    me = world.person("me", SYSTEM, SECURITY)
    result = take(world, (anna, file()), actor=me)
    assert isinstance(result, Denied)
    assert "operator" in result.message
    assert models.Factor.select().where(models.Factor.user == world.row(anna).id).count() == 0


def test_no_secret_in_the_file(world, anna):
    given = file("12345678")
    take(world, (anna, given))
    content = world.file_bytes()
    assert given.secret not in content
    assert b"12345678" not in content


def test_two_installations_hash_differently(world, anna):
    first, second = world.services.vault, type(world.services.vault)(bytes(32))
    digest = [vault.digest_code("12345678", user_id=1, purpose="scratch code") for vault in (first, second)]
    assert digest[0] != digest[1]
