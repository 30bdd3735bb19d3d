"""Authorisation codes: made, written, and found in what people really send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.rules.inbound_sms_codes import code_from_random, code_in, grouped, sender_number

CODE = "471108152342"


@given(st.binary(min_size=8, max_size=20))
def test_code_form(raw):
    """It has twelve digits and is found as it is shown."""
    code = code_from_random(raw)
    assert code_in(code) == code_in(grouped(code)) == code
    assert len(code) == 12


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "4711 0815 2342",
        " 4711-0815-2342.\n",
        "Code: 4711 0815 2342\n\nSent from my phone",
        "4711\u00a00815\u00a02342",
        "4711  0815  2342",
        "٤٧١١ ٠٨١٥ ٢٣٤٢",
        "\uff14\uff17\uff11\uff11 0815 2342",
    ],
)
def test_the_code_is_found_however_it_was_typed(text):
    assert code_in(text) == CODE


@pytest.mark.parametrize(
    "text", ["", "4711 0815 234", "4711081523421", "4711 / 0815 / 2342", "x" * 2_000 + CODE]
)
def test_what_is_no_code_is_none(text):
    assert code_in(text) is None


@given(st.text())
def test_no_text_is_too_odd(text):
    assert code_in(text) is None or len(code_in(text) or "") == 12


@pytest.mark.parametrize(
    "sender", ["+491701234711", " +49 170 1234711 ", "+49 (0) 170/12347-11", "+49-170-1234711"]
)
def test_a_number_with_its_country_is_a_sender(sender):
    assert sender_number(sender) == "+491701234711"


@pytest.mark.parametrize(
    "sender", ["", "+", "Clinic", "+49 CLINIC", "0170 1234711", "491701234711", "72975", "+49170\uff11"]
)
def test_sender_must_be_an_international_number(sender):
    """A name, or a number without its country, is none."""
    assert sender_number(sender) is None
