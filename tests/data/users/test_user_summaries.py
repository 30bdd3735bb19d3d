"""The users table and its details: search, sort, filter and paging against a plain model."""

import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.database import OPERATOR, PASSWORD, START, SUPPORT, clipped, statements

from data.operations.results import Denied
from data.operations.users import factor_administration, lifecycle, practices, user_search, user_summaries
from data.operations.users.user_search import SortKey, UserQuery
from data.rules import public_keys
from data.rules.domain_types import Mode, Role, Status
from data.rules.permissions import OwnAct
from data.storage import models

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH6xgP3QhlrYTQXmDoLy8mTBxdKRZhOSVBdGAcZ0BQZA anna"
FULL_NAMES = ["", "Anna Lee", "Özlem Ölmez", "ÉMILE Zola", "100% Bob_x", "İpek", "[b]x[/b]"]

persons = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["anna", "bob", "a.b", "a-b", "a_b", "zed", "ann", "0x"]),
        "domain": st.sampled_from(["clinic.example", "other.example"]),
        "full_name": st.sampled_from(FULL_NAMES),
        "active": st.booleans(),
        "locked": st.booleans(),
        "required": st.booleans(),
        "enrolled": st.booleans(),
        "role": st.none() | st.sampled_from(Role),
        "signed_in": st.none() | st.integers(0, 3),
        "phone": st.booleans(),
    }
)
searches = st.sampled_from(
    [
        *("", "a", "AN", "anna lee", "lee anna", "ö", "Oz", "éMILE", "emi", "%", "_", "a_b", "b", "x", "i"),
        *("example", "clinic.ex", "anna@c", "zz", "[b]", "b]x", "100%", "nna", "main", "ma an", "m x"),
        *("+49", "030", "30 12", "123", "0", "anna 4930", "3456", "a a a", "an anna"),
    ]
)


def insert(world, person):
    user = models.User.create(
        account=1,
        practice=1,
        name=person["name"],
        email=f"{person['name']}@{person['domain']}",
        full_name=person["full_name"],
        phone="+4930123456" if person["phone"] else None,
        active=person["active"],
        locked_at=START if person["locked"] else None,
        required=person["required"],
        attempts_left=7,
        created_at=START,
        last_signin_at=None
        if person["signed_in"] is None
        else START + timedelta(minutes=person["signed_in"]),
    )
    if person["role"]:
        models.UserRole.create(user=user, role=person["role"].value)
    if person["enrolled"]:
        models.Factor.create(user=user, kind="app", sealed_secret=b"", last_step=0, confirmed_at=START)


def status_of(person, mode):
    if not person["active"]:
        return Status.DEACTIVATED
    if person["locked"]:
        return Status.LOCKED
    if mode is Mode.OFF:
        return Status.NOT_AVAILABLE
    if person["enrolled"]:
        return Status.ENABLED
    required = person["required"] or person["role"] is not None
    return Status.PENDING if required or mode is not Mode.OPTIONAL else Status.NO


def beginnings(text: str) -> set[str]:
    """Return all that a text can be found by: from the beginning of any word up to a space, or shorter."""
    plain = unicodedata.normalize("NFD", text.lower().casefold())
    parts = "".join(symbol for symbol in plain if not unicodedata.combining(symbol)).split()
    return {
        part[start:end]
        for part in parts
        for start in range(len(part))
        if start == 0 or (part[start].isalnum() and not part[start - 1].isalnum())
        for end in range(start + 1, len(part) + 1)
    }


def expected_names(crowd, mode, search, status, sort):
    def matches(person):
        texts = (person["name"], f"{person['name']}@{person['domain']}", person["full_name"], "Main")
        known = set().union(*map(beginnings, texts))
        numbers = {"4930123456", "30123456", "123456"} if person["phone"] else set()
        return all(
            max(beginnings(word), key=len) in known
            or any(number.startswith(digits) for number in numbers for digits in [word.strip("+0")] if digits)
            for word in search.split()
        )

    found = [
        (number, person)
        for number, person in enumerate(crowd)
        if matches(person) and status in {None, status_of(person, mode)}
    ]
    key = {
        SortKey.NAME: lambda pair: pair[1]["name"],
        SortKey.EMAIL: lambda pair: f"{pair[1]['name']}@{pair[1]['domain']}",
        SortKey.LAST_SIGNIN: lambda pair: (
            -1 if pair[1]["signed_in"] is None else pair[1]["signed_in"],
            pair[0],
        ),
    }[sort]
    return [person["name"] for _, person in sorted(found, key=key, reverse=sort is SortKey.LAST_SIGNIN)]


@pytest.mark.feature("search")
@settings(max_examples=80)
@given(
    crowd=st.lists(persons, max_size=8, unique_by=lambda person: person["name"]),
    mode=st.sampled_from(Mode),
    search=searches,
    status=st.none() | st.sampled_from(Status),
    sort=st.sampled_from(SortKey),
    limit=st.integers(1, 4),
)
def test_table_equals_a_plain_model(passing_world, crowd, mode, search, status, sort, limit):
    """Search, sort, filter and paging say what a plain model would."""
    with passing_world() as world:
        models.UserRole.delete().execute()
        models.User.delete().execute()
        for person in crowd:
            insert(world, person)
        world.catch_up()
        world.mode(mode)
        expected = expected_names(crowd, mode, search, status, sort)
        read: list[user_summaries.UserRow] = []
        after, more = None, True
        while more:
            query = UserQuery(search, status, sort, after, limit)
            page = world.run(user_summaries.list_users, OPERATOR, query)
            assert (page.total, page.uncounted) == (len(expected), False)
            assert len(page.rows) <= limit
            read += page.rows
            after, more = page.following, page.following is not None
            assert more == (len(read) < len(expected))
        assert [row.name for row in read] == expected
        by_name = {person["name"]: person for person in crowd}
        for row in read:
            person = by_name[row.name]
            assert row.status is status_of(person, mode)
            assert row.roles == ({person["role"]} if person["role"] else set())
            assert row.practice == "Main"


@pytest.fixture
def small_bounds(monkeypatch):
    """Reach with few people what else only many reach."""
    monkeypatch.setattr(user_search, "COUNTED", 3)
    monkeypatch.setattr(user_search, "FOUND", 4)
    monkeypatch.setattr(user_search, "_WEIGHED", 7)
    monkeypatch.setattr(user_search, "_LOOKED_UP", 6)
    monkeypatch.setattr(user_search, "_WEIGHED_WORDS", 7)
    monkeypatch.setattr(user_search, "_SEARCHED", 6)
    monkeypatch.setattr(user_search, "_TRIED", 4)
    monkeypatch.setattr(user_search, "_IN_ORDER", 5)


def test_search_that_finds_too_many(world, small_bounds):
    """It says so and shows some of them in order."""
    for name in ("f", "e", "d", "c", "b", "a"):
        world.user(name)
    first = world.run(user_summaries.list_users, OPERATOR, UserQuery("clinic", limit=3))
    assert (first.total, first.uncounted) == (4, True)
    query = UserQuery("clinic", limit=3, after=first.following)
    second = world.run(user_summaries.list_users, OPERATOR, query)
    assert (second.total, second.uncounted, second.following) == (4, True, None)
    names = [row.name for row in (*first.rows, *second.rows)]
    assert len(set(names)) == 4
    assert names == sorted(names)


@pytest.mark.parametrize("sort", SortKey)
@pytest.mark.parametrize("search", ["clinic example", "main clin", "clinic"])
def test_common_words_show_the_right_pages(world, small_bounds, search, sort):
    """All who have several words that nearly all have are shown in order, page by page."""
    for number in reversed(range(20)):
        world.user(f"u{number:02}")
    world.set("u13", active=False)
    world.catch_up()
    status = None if len(search.split()) > 1 else Status.NO
    everyone = ["admin"] * (status is None) + [f"u{n:02}" for n in range(20) if status is None or n != 13]
    if sort is SortKey.LAST_SIGNIN:  # Nobody has signed in, so whoever was made last comes first.
        everyone = [*everyone[1:], "admin"] if status is None else everyone
    names: list[str] = []
    after, more = None, True
    while more:
        page = world.run(user_summaries.list_users, OPERATOR, UserQuery(search, status, sort, after, 3))
        assert page.uncounted
        names += [row.name for row in page.rows]
        after, more = page.following, page.following is not None
    assert names == everyone


def test_search_finds_all_of_a_rare_word(world, small_bounds):
    """It does, however many users have the other words."""
    for number in range(20):
        world.user(f"u{number}")
    world.user("rare", SUPPORT)
    page = world.run(user_summaries.list_users, OPERATOR, UserQuery("clinic u main rar"))
    assert page.rows == ()
    page = world.run(user_summaries.list_users, OPERATOR, UserQuery("clinic main rar"))
    assert ([row.name for row in page.rows], page.uncounted) == (["rare"], False)


def test_rare_status_among_many(world, small_bounds):
    for number in range(20):
        world.user(f"u{number:02}")
    world.set("u19", active=False)
    page = world.run(user_summaries.list_users, OPERATOR, UserQuery("clinic", Status.DEACTIVATED))
    assert ([row.name for row in page.rows], page.uncounted) == (["u19"], False)


def test_long_table_to_its_end(world, small_bounds):
    for number in range(8):
        world.user(f"u{number}")
    names: list[str] = []
    after, more = None, True
    while more:
        page = world.run(user_summaries.list_users, OPERATOR, UserQuery(after=after, limit=2))
        assert (page.total, page.uncounted) == (3, True)
        names += [row.name for row in page.rows]
        after, more = page.following, page.following is not None
    assert names == ["admin", *(f"u{number}" for number in range(8))]


def test_changes_change_what_is_found(world):
    def found(search: str) -> list[str]:
        return [row.name for row in world.run(user_summaries.list_users, OPERATOR, UserQuery(search)).rows]

    world.user("anna")
    assert (found("lee"), found("anna@clinic")) == ([], ["anna"])
    changes = lifecycle.UserChanges("lee@other.example", "Anna Lee", "+49 30 1234567")
    world.run(lifecycle.edit_user, OPERATOR, "anna", changes)
    assert (found("lee"), found("other"), found("030"), found("anna@clinic")) == (
        ["anna"],
        ["anna"],
        ["anna"],
        [],
    )
    world.run(practices.rename_practice, OPERATOR, "Main", "North Wing")
    assert (found("main"), found("wing")) == ([], ["admin", "anna"])


@pytest.mark.parametrize(
    "typed", ["\ud800", "\x00", "'; DROP TABLE user; --", "x" * 5000, "a " * 2500], ids=clipped
)
def test_a_search_of_rubbish_raises_nothing(world, typed):
    assert isinstance(
        world.run(user_summaries.list_users, OPERATOR, UserQuery(search=typed)), user_summaries.UserPage
    )


def test_fixed_number_of_statements(world):
    """The table takes as many for many rows as for few."""
    counts = []
    for more in (2, 40):
        for number in range(more):
            world.user(f"u{more}-{number}", SUPPORT)
        with statements(world) as seen:
            world.run(user_summaries.list_users, OPERATOR, UserQuery())
        counts.append(len(seen))
    assert counts[0] == counts[1] > 0


@pytest.mark.feature("codes-left")
def test_detail_of_a_user(world):
    world.user("anna", SUPPORT, key=public_keys.parse(KEY))
    world.enrol("anna")
    world.clock.forward(minutes=1)
    world.submit(world.attempt("anna"), world.recovery["anna"][0])
    world.submit(world.attempt("anna"), world.wrong_code("anna"))
    detail = world.run(user_summaries.user_detail, OPERATOR, " Anna")
    assert (detail.status, detail.enrolled_at, detail.recovery_codes_left) == (Status.ENABLED, START, 4)
    assert (detail.attempts_left, detail.locked_at, detail.has_password) == (6, None, True)
    assert (detail.roles, detail.mode, detail.one_time_until) == ({SUPPORT}, Mode.OPTIONAL, None)
    assert [key.comment for key in detail.keys] == ["anna"]
    assert detail.last_signin_at == world.clock.now
    assert len(detail.recent) == user_summaries.RECENT
    assert detail.recent[0].sentence == "Wrong code, 6 attempts left"


def test_unknown_name_is_not_repeated(world):
    denied = world.run(user_summaries.user_detail, OPERATOR, "my-secret-password")
    assert denied == Denied("The user was not found.")


def test_own_profile(world):
    anna = world.enrol(world.user("anna"))
    profile = world.run(user_summaries.my_profile, anna)
    assert profile.acts >= {OwnAct.SET_UP, OwnAct.TURN_OFF}
    assert not profile.must_use_two_factor
    world.run(factor_administration.set_required, OPERATOR, "anna", required=True)
    profile = world.run(user_summaries.my_profile, anna)
    assert OwnAct.SET_UP in profile.acts
    assert OwnAct.TURN_OFF not in profile.acts
    assert profile.must_use_two_factor
    world.mode(Mode.OFF)
    assert OwnAct.SET_UP not in world.run(user_summaries.my_profile, anna).acts


def test_the_operator_has_no_profile(world):
    assert isinstance(world.run(user_summaries.my_profile, OPERATOR), Denied)


def test_no_result_shows_a_password_hash(world):
    anna = world.person("anna")
    shown = repr(
        (
            world.run(user_summaries.my_profile, anna),
            world.run(user_summaries.list_users, OPERATOR, UserQuery()),
        )
    )
    assert "argon2" not in shown
    assert PASSWORD not in shown


@pytest.mark.feature("offered-acts")
def test_profile_for_an_act(world):
    """What is not offered is refused with a reason, as a key pressed ahead of the first read needs it."""
    me = world.enrol(world.user("anna", required=True))
    acts = world.run(user_summaries.my_profile, me).acts
    assert OwnAct.TURN_OFF not in acts
    for act in OwnAct:
        result = world.run(user_summaries.my_profile, me, act)
        assert isinstance(result, Denied if act not in acts else user_summaries.Profile), (act, result)
