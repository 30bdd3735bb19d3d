"""The filters of the users table: each alone, all together, and among more users than a page looks up."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.database import OPERATOR, START, SUPPORT, SYSTEM

from data.operations.users import user_search, user_summaries
from data.operations.users.user_search import SortKey, UserQuery
from data.rules.domain_types import Method, Role, Status
from data.storage import models

people = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.none() | st.sampled_from(Role),
            "methods": st.sets(st.sampled_from(Method), max_size=2),
            "signed_in": st.none() | st.integers(0, 3),
            "active": st.booleans(),
            "practice": st.sampled_from(["Main", "North"]),
            "since": st.integers(0, 3),
            "few_codes": st.booleans(),
        }
    ),
    max_size=9,
)
moments = st.integers(0, 4).map(lambda minutes: START + timedelta(minutes=minutes))
queries = st.builds(
    UserQuery,
    search=st.sampled_from(["", "", "", "clinic", "u1"]),
    status=st.none() | st.sampled_from([Status.DEACTIVATED, Status.ENABLED]),
    sort=st.sampled_from(SortKey),
    limit=st.integers(1, 4),
    practice=st.none() | st.sampled_from(["Main", "North"]),
    role=st.none() | st.sampled_from(Role),
    method=st.none() | st.sampled_from(Method),
    never_signed_in=st.booleans(),
    signed_in_before=st.none() | moments,
    pending_before=st.none() | st.none() | moments,
    few_recovery_codes=st.sampled_from([False, False, True]),
)


def insert(number, person):
    seen = person["signed_in"]
    user = models.User.create(
        account=1,
        practice=models.Practice.get(name=person["practice"]).id,
        name=f"u{number}",
        email=f"x{9 - number}@clinic.example",
        active=person["active"],
        attempts_left=7,
        created_at=START,
        last_signin_at=None if seen is None else START + timedelta(minutes=seen),
    )
    if person["role"]:
        models.UserRole.create(user=user, role=person["role"].value)
    for method in person["methods"]:
        models.Factor.create(user=user, kind=method.value, sealed_secret=b"", last_step=0, confirmed_at=START)


def meets(number, person, query):
    status = (
        Status.DEACTIVATED
        if not person["active"]
        else Status.ENABLED
        if Method.APP in person["methods"]  # The only one that is on.
        else None
    )
    seen = person["signed_in"]
    before = query.signed_in_before
    stale = [
        *([seen is None] if query.never_signed_in else []),
        *([seen is not None and START + timedelta(minutes=seen) < before] if before else []),
    ]
    pending = person["active"] and person["role"] and Method.APP not in person["methods"]
    since = START + timedelta(minutes=person["since"])
    return (
        query.status in {None, status}
        and query.practice in {None, person["practice"]}
        and query.role in {None, person["role"]}
        and (query.method is None or query.method in person["methods"])
        and (not stale or any(stale))
        and (query.pending_before is None or (pending and since < query.pending_before))
        and (not query.few_recovery_codes or (status is Status.ENABLED and person["few_codes"]))
        and (query.search in {"", "clinic"} or query.search == f"u{number}")
    )


def expected(crowd, query):
    found = [(number, person) for number, person in enumerate(crowd) if meets(number, person, query)]
    order = {
        SortKey.NAME: lambda pair: pair[0],
        SortKey.EMAIL: lambda pair: -pair[0],
        SortKey.LAST_SIGNIN: lambda pair: (
            -1 if pair[1]["signed_in"] is None else pair[1]["signed_in"],
            pair[0],
        ),
    }[query.sort]
    return [f"u{number}" for number, _ in sorted(found, key=order, reverse=query.sort is SortKey.LAST_SIGNIN)]


def read_all(world, query, operator=OPERATOR):
    """Read page after page; return the names, and the pages."""
    pages = [world.run(user_summaries.list_users, operator, query)]
    while pages[-1].following:
        query = replace(query, after=pages[-1].following)
        pages.append(world.run(user_summaries.list_users, operator, query))
    return [row.name for page in pages for row in page.rows], pages


@pytest.mark.feature("filters")
@settings(max_examples=40)
@given(
    crowd=people,
    query=queries,
    bounds=st.sampled_from([None, None, (1, 1), (2, 3), (3, 2), (9, 2), (2, 9), (20, 4)]),
)
def test_filters_equal_a_plain_model(passing_world, crowd, query, bounds):
    """All pages together are whoever meets all criteria, in order, however little one page looks up."""
    with passing_world() as world:
        models.UserRole.delete().execute()
        models.User.delete().execute()
        models.Practice.create(account=1, name="North")
        for number, person in enumerate(crowd):
            insert(number, person)
        world.catch_up()
        for number, person in enumerate(crowd):
            since = START + timedelta(minutes=person["since"])
            few = person["few_codes"] and bool(person["methods"])
            models.User.update(standing_since=since, few_codes=few).where(
                models.User.name == f"u{number}"
            ).execute()
        if bounds and not query.search:
            with patch.multiple(user_search, _WEIGHED=bounds[0], _LOOKED_UP=bounds[1]):
                names, pages = read_all(world, query)
        else:
            names, pages = read_all(world, query)
        assert names == expected(crowd, query)
        for page in pages:
            assert len(page.rows) <= query.limit
            assert page.uncounted or page.total == len(names)
            assert page.total <= len(names)
        if bounds is None:
            assert not pages[0].uncounted


@pytest.mark.feature("filters")
def test_role_of_another_account(world):
    """It is not found, with a search word or without."""
    world.user("anna", SUPPORT)
    world.user("stranger", SUPPORT)
    other = models.Account.create(name="Other", mode="optional", created_at=world.clock.now)
    practice = models.Practice.create(account=other, name="Main")
    world.set("stranger", account=other, practice=practice)
    models.UserWord.update(account_id=other.id).where(
        models.UserWord.user == world.row("stranger").id
    ).execute()
    for search in ("", "clinic"):
        names, _ = read_all(world, UserQuery(search, role=Role.SUPPORT), replace(OPERATOR, account="Clinic"))
        assert names == ["anna"]


@pytest.mark.feature("filters")
def test_rare_role_is_found_without_reading_everyone(world, monkeypatch):
    """Two filters that many meet, and together one: the rarer leads, and the page is complete."""
    monkeypatch.setattr(user_search, "_WEIGHED", 7)
    monkeypatch.setattr(user_search, "_LOOKED_UP", 6)
    for number in range(20):
        world.user(f"u{number:02}")
    world.user("zoe", SYSTEM)
    page = world.run(user_summaries.list_users, OPERATOR, UserQuery(role=Role.SYSTEM_ADMIN))
    assert ([row.name for row in page.rows], page.total, page.uncounted) == (["admin", "zoe"], 2, False)
    many = UserQuery(never_signed_in=True, method=None, limit=3)
    page = world.run(user_summaries.list_users, OPERATOR, many)
    assert ([row.name for row in page.rows], page.total, page.uncounted) == (["admin", "u00", "u01"], 7, True)
