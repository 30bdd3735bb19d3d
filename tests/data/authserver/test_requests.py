"""What is read of a body: the three clients of privacyIDEA, JSON, Basic credentials, and rubbish."""

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.authserver.requests import RequestFault, read_basic, read_form, read_json
from data.operations.applications.asking import VerifyRequest

KEYCLOAK, FREERADIUS, PAM = "privacyIDEA-Keycloak/1.4.1", "FreeRADIUS", "PAM/1.0.0"
PIECES = [b"user=", b"pass=", b"%", b"25", b"&", b"=", b"+", b"\xff"]
RESERVED = "!*'();:@&=+$,/?#[]"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def read(found):
    assert isinstance(found, VerifyRequest), found
    return found.name, found.answer, found.transaction_id


@given(texts, texts)
@example("ben", "p ä+%41&=,123456")
@example("ben@clinic.example", "100%25")
def test_forms_of_privacyideas_clients(name, answer):
    """Each writes in its own way, and two of them encode twice."""
    from_pam = "&".join(f"{key}={quote(text, safe='~')}" for key, text in (("user", name), ("pass", answer)))
    assert read(read_form(from_pam.encode(), PAM)) == (name, answer, None)
    from_radius = urlencode(
        {"user": quote(name, safe=RESERVED), "pass": quote(answer, safe=RESERVED), "client": "192.0.2.7"}
    )
    assert read(read_form(from_radius.encode(), FREERADIUS)) == (name, answer, None)
    from_keycloak = urlencode(
        {
            "user": quote_plus(name),
            "pass": quote_plus(answer),
            "transaction_id": quote_plus("a-_Z"),
            "realm": "x",
        }
    )
    assert read(read_form(from_keycloak.encode(), KEYCLOAK)) == (name, answer, "a-_Z")


def test_form_of_another_client():
    """It is read as it is, unless it is still encoded."""
    assert read(read_form(b"user=ben&pass=50%25+off", "curl/7.88")) == ("ben", "50% off", None)
    assert read(read_form(b"user=ben&pass=p%252Bq", "curl/7.88")) == ("ben", "p+q", None)
    assert read(read_form(b"user=ben&pass=&state=T", FREERADIUS)) == ("ben", "", "T")


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (b"", "body", "must be a JSON object in UTF-8, in which no name stands twice"),
        (b'{"user":"ben","user":"anna","pass":""}', "body", "must be a JSON object in UTF-8"),
        (b'{"user":"b\xff","pass":""}', "body", "must be a JSON object in UTF-8"),
        (b"[" * 20_000, "body", "must be a JSON object in UTF-8"),
        (b'{"user":' + b"9" * 20_000 + b"}", "body", "must be a JSON object in UTF-8"),
        (b'["user"]', "body", "must be a JSON object"),
        (b'{"pass":"1"}', "user", "is missing"),
        (b'{"user":"","pass":"1"}', "user", "is empty"),
        (b'{"user":"ben"}', "pass", "is missing"),
        (b'{"user":"ben","pass":123456}', "pass", "must be a string"),
        (b'{"user":"ben","pass":null}', "pass", "is missing"),
        (b'{"user":"ben","pass":"\\ud800"}', "pass", "must be Unicode text"),
        (b'{"user":"ben","pass":"%s"}' % (b"x" * 1_025), "pass", "must have at most 1024 characters"),
        (b'{"user":"%s","pass":""}' % (b"x" * 257), "user", "must have at most 256 characters"),
        (b'{"user":"ben","pass":"","otp":""}', "otp", "is not a field. The fields are user, pass, tr"),
        (b'{"user":"ben","pass":"","\\u001b[2J":1}', "\\x1b[2J", "is not a field"),
        (b'{"user":"ben","pass":"","transaction_id":7}', "transaction_id", "must be a string"),
    ],
    ids=str,
)  # fmt: skip
def test_fault_names_the_field(body, field, problem):
    found = read_json(body)
    assert isinstance(found, RequestFault)
    assert found.field == field
    assert found.problem.startswith(problem)
    assert found.message == f"{field} {found.problem}."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "user"),
        (b"user=ben", "pass"),
        (b"user=ben&user=anna&pass=1", "body"),
        (b"user=%ff&pass=1", "body"),
        (b"user=%25ff&pass=1", "body"),
        (b"&".join(b"f%d=1" % number for number in range(40)), "body"),
    ],
)
def test_fault_of_a_form(body, field):
    found = read_form(body, FREERADIUS)
    assert isinstance(found, RequestFault)
    assert found.field == field


@given(texts.filter(lambda name: ":" not in name), texts)
def test_basic(name, answer):
    credentials = b64encode(f"{name}:{answer}".encode()).decode()
    assert read(read_basic(credentials)) == (name, answer, None)


def is_read(found):
    """Say that something was read, whole and in bounds, or that there is a fault in words."""
    if isinstance(found, RequestFault):
        json.dumps(found.message)
        assert len(found.message) < 200
    else:
        f"{found.name}{found.answer}{found.transaction_id}".encode()
        assert len(found.name) <= 256
        assert len(found.answer) <= 1_024


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["user", "pass"]) | st.text(), inner),
    max_leaves=8,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_rubbish_as_json(body):
    is_read(read_json(body))


@given(
    st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.sampled_from([KEYCLOAK, FREERADIUS, PAM, ""]),
)  # fmt: skip
def test_rubbish_as_a_form(body, user_agent):
    is_read(read_form(body, user_agent))


@given(st.text())
def test_rubbish_as_credentials(credentials):
    is_read(read_basic(credentials))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_rubbish_for_long():
    """A hundred times as much rubbish."""
    from hypothesis import settings  # noqa: PLC0415 - only here.

    for test in (test_rubbish_as_json, test_rubbish_as_a_form, test_rubbish_as_credentials):
        settings(max_examples=10_000)(test)()
