"""What takes away what a certificate relies on withdraws it, and nothing else does."""

import pytest
from support.certificates import give_certificate, live_serials
from support.database import OPERATOR, SYSTEM, World

from data.operations.actors import Member, Operator
from data.operations.audit import trail
from data.operations.certificates.withdrawal import WithdrawalPreview
from data.operations.maintenance import accounts
from data.operations.policy import policy_settings
from data.operations.results import Done
from data.operations.signin import enrolment, sessions
from data.operations.users import (
    bulk_actions,
    credentials,
    deletion,
    factor_administration,
    invitations,
    lifecycle,
    practices,
    principals,
    role_grants,
)
from data.operations.users.bulk_actions import Bulk
from data.rules import public_keys
from data.rules.domain_types import Method
from data.storage import models
from data.wording.policy_changes import left_without

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna"
FINGERPRINT = public_keys.parse(KEY).fingerprint


def replace_the_phone(world: World, me: Member) -> None:
    world.clock.forward(minutes=1)
    assert world.run(credentials.confirm_fresh_code, me, world.live_code("anna"))
    world.wizard("anna", me)


def turn_off(world: World, me: Member) -> object:
    world.clock.forward(minutes=1)
    assert world.run(credentials.confirm_fresh_code, me, world.live_code("anna"))
    return world.run(enrolment.turn_off, me)


def change_the_password(world: World, me: Member) -> object:
    return world.run(credentials.store_password, me, world.services.hasher.hash("x" * 12))


def of_methods(world: World, *methods: Method) -> object:
    seen = frozenset({Method.APP, Method.EMAIL})
    return world.run(policy_settings.set_methods, OPERATOR, frozenset(methods), seen=seen)


def lose_a_role(world: World) -> object:
    world.run(role_grants.set_roles, OPERATOR, "anna", frozenset({SYSTEM}))
    return world.run(role_grants.set_roles, OPERATOR, "anna", frozenset())


def move(world: World) -> object:
    world.run(practices.add_practice, OPERATOR, "North")
    return world.run(practices.move_user, OPERATOR, "anna", "North")


def lifecycle_edit(world: World, **fields: str) -> object:
    return world.run(lifecycle.edit_user, OPERATOR, "anna", lifecycle.UserChanges(**fields))


def in_bulk(world: World, act: Bulk) -> object:
    hashes = {"anna": world.services.hasher.hash("y" * 12)}
    return world.run(bulk_actions.act_on_many, OPERATOR, ["anna"], act, "", hashes)


WITHDRAWING = {
    "deactivated": lambda world, _: world.run(lifecycle.set_active, OPERATOR, "anna", active=False),
    "locked": lambda world, _: world.lock("anna"),
    "cleared": lambda world, _: world.run(factor_administration.clear_two_factor, OPERATOR, "anna"),
    "disabled": lambda world, _: world.run(factor_administration.disable_two_factor, OPERATOR, "anna"),
    "deleted": lambda world, _: world.run(deletion.delete_user, OPERATOR, "anna"),
    "own new password": change_the_password,
    "one-time password": lambda world, _: world.one_time_password("anna"),
    "turned off": turn_off,
    "phone replaced": replace_the_phone,
    "factor's method off": lambda world, _: of_methods(world, Method.EMAIL),
    "deactivated in bulk": lambda world, _: in_bulk(world, Bulk.DEACTIVATE),
    "cleared in bulk": lambda world, _: in_bulk(world, Bulk.CLEAR),
    "one-time password in bulk": lambda world, _: in_bulk(world, Bulk.PASSWORD),
}
KEEPING = {
    "other method off": lambda world, _: of_methods(world, Method.APP),
    "required": lambda world, _: world.run(
        factor_administration.set_required, OPERATOR, "anna", required=True
    ),
    "lost role": lambda world, _: lose_a_role(world),
    "moved": lambda world, _: move(world),
    "session ended": lambda world, me: world.run(sessions.end_session_of, OPERATOR, me.session_id),
    "key added": lambda world, _: world.run(credentials.add_key, OPERATOR, OTHER_KEY, name="anna"),
    "another address": lambda world, _: lifecycle_edit(world, email="a@clinic.example"),
}


@pytest.fixture
def anna(world: World) -> Member:
    """A session of an enrolled user beside another one who has a certificate too."""
    world.methods(Method.APP, Method.EMAIL)
    world.user("anna")
    admin = world.enrol_email("admin", world.enrol("admin"))
    give_certificate(world, admin)
    return world.enrol("anna")


@pytest.mark.feature("certificate-withdrawal")
@pytest.mark.parametrize("act", WITHDRAWING)
def test_withdrawing(world, anna, act):
    """Each of the user's that still is good, and nobody else's; the log says how many and why."""
    ended = give_certificate(world, anna, hours=0)
    others = live_serials(world)
    given = {give_certificate(world, anna) for _ in range(2)}
    result = WITHDRAWING[act](world, anna)
    assert live_serials(world) == others
    assert models.Certificate.get_by_id(ended).withdrawn_at is None
    rows = [models.Certificate.get_by_id(serial) for serial in given]
    assert all(row.withdrawn_at and row.withdrawn_because for row in rows)
    if isinstance(result, Done):
        assert result.message.endswith(" 2 certificates withdrawn.")
    entry = world.run(trail.list_entries, OPERATOR, trail.Filter(event="certificate.withdrawn"))[0]
    assert entry.sentence == f"2 certificates withdrawn: {rows[0].withdrawn_because}"
    assert set(entry.detail["serials"].split(", ")) == set(map(str, given))


@pytest.mark.feature("certificate-withdrawal")
@pytest.mark.parametrize("act", KEEPING)
def test_keeping(world, anna, act):
    given = give_certificate(world, anna)
    result = KEEPING[act](world, anna)
    assert isinstance(result, Done), result
    assert "certificate" not in result.message
    assert given in live_serials(world)


def test_invitation(world):
    """Its password replaces the one that certificates rest on, handed over in whichever way."""
    world.run(credentials.add_key, OPERATOR, KEY, name=world.user("anna", password=None))
    admitted = world.first_by_key("anna", FINGERPRINT)
    given = give_certificate(world, Member(admitted.session.id))
    world.run(credentials.remove_key, OPERATOR, FINGERPRINT, name="anna")
    assert given not in live_serials(world)
    given = give_certificate(world, Member(admitted.session.id))
    hashed = world.services.hasher.hash("x" * 12)
    assert not isinstance(world.run(invitations.store_written, OPERATOR, "anna", "x", hashed), Done)
    assert given not in live_serials(world)


@pytest.mark.feature("certificate-withdrawal")
def test_removed_key(world, anna):
    """It takes its own certificate along, and those obtained in sessions that it opened, but no other."""
    for key in (KEY, OTHER_KEY):
        world.run(credentials.add_key, OPERATOR, key, name="anna")
    attempt = world.first_by_key("anna", FINGERPRINT).attempt
    by_key = Member(world.submit(attempt, world.live_code("anna")).session.id)
    its_own, obtained = give_certificate(world, anna, FINGERPRINT), give_certificate(world, by_key)
    other = give_certificate(world, anna)
    two = WithdrawalPreview(2)
    assert world.run(credentials.preview_key_removal, OPERATOR, FINGERPRINT, name="anna") == two
    assert world.run(credentials.preview_key_removal, anna, FINGERPRINT) == two
    assert world.run(credentials.preview_key_removal, anna, "SHA256:nothing") == WithdrawalPreview(0)
    done = world.run(credentials.remove_key, OPERATOR, FINGERPRINT, name="anna")
    assert done == Done(f"Key {FINGERPRINT} removed. 2 certificates withdrawn.")
    assert live_serials(world) & {its_own, obtained, other} == {other}


@pytest.mark.feature("certificate-withdrawal")
@pytest.mark.parametrize("act", Bulk)
def test_an_act_on_many_is_previewed(world, anna, act):
    """What is counted before is what is then withdrawn; those for whom it is refused do not count."""
    admin = world.session("admin")
    world.run(practices.add_practice, OPERATOR, "North")
    moved = world.enrol(world.user("kim"))
    world.run(practices.move_user, OPERATOR, "kim", "North")
    world.run(principals.add_practice_principal, OPERATOR, "Main", "web")
    for member, count in ((anna, 2), (moved, 1), (admin, 1)):
        for _ in range(count):
            give_certificate(world, member)
    before, names = live_serials(world), ["anna", "kim", "admin", "nobody"]
    detail = {Bulk.MOVE: "North", Bulk.UNLOCK: "known voice"}.get(act, "")
    preview = world.run(bulk_actions.preview_act, admin, names, act, detail)
    hashes = {name: world.services.hasher.hash("y" * 12) for name in names}
    world.run(bulk_actions.act_on_many, admin, names, act, detail, hashes)
    assert preview == WithdrawalPreview(len(before - live_serials(world)))
    announced = {Bulk.MOVE: 3, **dict.fromkeys((Bulk.DISABLE, Bulk.CLEAR, Bulk.PASSWORD, Bulk.DEACTIVATE), 3)}
    assert preview == WithdrawalPreview(announced.get(act, 0))


def test_a_preview_counts_nobody_of_another_account(world, anna):
    give_certificate(world, anna)
    chief = lifecycle.NewUser("chief", "chief@other.example")
    world.run(accounts.add_account, OPERATOR, "Other", "Main", chief)
    ours, theirs = (
        world.run(bulk_actions.preview_act, operator, ["anna"], Bulk.CLEAR)
        for operator in (Operator("root", "Clinic"), Operator("root", "Other"))
    )
    assert (ours, theirs) == (WithdrawalPreview(1), WithdrawalPreview(0))


@pytest.mark.feature("certificate-withdrawal")
def test_methods_are_previewed(world, anna):
    given = {give_certificate(world, anna) for _ in range(2)}
    before = live_serials(world)
    preview = world.run(policy_settings.preview_methods, OPERATOR, frozenset({Method.EMAIL}))
    of_methods(world, Method.EMAIL)
    assert before - live_serials(world) == given
    assert preview.certificates == 2
    assert "This withdraws 2 certificates. A host accepts" in left_without(preview)[-1]


@pytest.mark.feature("certificate-withdrawal")
def test_lost_destination(world):
    """A factor that is lost with the address of its codes is one that certificates rest on."""
    world.methods(Method.EMAIL)
    me = world.enrol_email(world.user("anna"))
    given = give_certificate(world, me)
    edited = lifecycle_edit(world, email="a@clinic.example")
    assert edited.message.endswith("set up again. 1 certificate withdrawn.")
    assert given not in live_serials(world)


@pytest.mark.feature("certificate-withdrawal")
def test_session_with_its_certificates(world, anna):
    """Only if that is wanted; lists of sessions count them."""
    me = world.enrol("admin")
    kept, given = give_certificate(world, anna), [give_certificate(world, anna) for _ in range(2)]
    other = world.session("anna")
    models.Certificate.update(session=other.session_id).where(models.Certificate.serial.in_(given)).execute()
    rows = {row.id: row.certificates for row in world.run(sessions.list_sessions, me).rows}
    assert (rows[anna.session_id], rows[other.session_id]) == (1, 2)
    ended = world.run(sessions.end_session_of, me, other.session_id, certificates=True)
    assert ended == Done("Session of anna from 192.0.2.1 ended. 2 certificates withdrawn.")
    assert live_serials(world) & {kept, *given} == {kept}


@pytest.mark.feature("certificate-withdrawal")
def test_own_sessions_with_their_certificates(world, anna):
    """Of all others, also those of sessions that have ended; never those of the present one."""
    kept, by_command, in_other = (give_certificate(world, anna) for _ in range(3))
    third, other = world.session("anna"), world.session("anna")
    for serial, session in ((by_command, None), (in_other, other.session_id)):
        row = models.Certificate.serial == serial
        models.Certificate.update(session=session).where(row).execute()
    given = give_certificate(world, third)
    mine = world.run(sessions.end_my_sessions, anna, third.session_id, certificates=True)
    assert mine == Done("Ended 1 other session. 1 certificate withdrawn.")
    assert live_serials(world) >= {kept, by_command, in_other}
    assert given not in live_serials(world)
    mine = world.run(sessions.end_my_sessions, anna, certificates=True)
    assert mine == Done("Ended 1 other session. 2 certificates withdrawn.")
    assert kept in live_serials(world)
