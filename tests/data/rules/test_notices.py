"""The words of notices, and when they are tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from data.rules.audit_events import Event
from data.rules.domain_types import Application
from data.rules.notices import _WORDS, Act, contact_changes, envelope, is_told, wait_after

AT = datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC)


def act(
    event: Event, actor: str = "anna", application: Application = Application.SSH, **detail: object
) -> Act:
    return Act(event, AT, "anna", "Clinic", actor, application, "192.0.2.1", detail)


def text(*args, **kwargs) -> str:
    return envelope(act(*args, **kwargs), "anna@clinic.example", "Twofold").text


def words_of(*args, **kwargs) -> str:
    return " ".join(text(*args, **kwargs).split())


def test_notice():
    """It says what, when, by whom and what to do."""
    sent = envelope(act(Event.PASSWORD_CHANGED), "anna@clinic.example", "Acme")
    assert (sent.to, sent.subject) == ("anna@clinic.example", "Acme: your password was changed")
    assert sent.text == (
        "Hello anna,\n"
        "\n"
        "Your password was changed.\n"
        "\n"
        "Account: Clinic\n"
        "When:    2026-03-02 09:00 UTC\n"
        "By:      anna, over SSH from 192.0.2.1\n"
        "\n"
        "If it was you, you have nothing to do. If not, tell an administrator of\n"
        "Clinic at once: someone can sign in as you.\n"
    )


@pytest.mark.parametrize(
    ("actor", "application", "words"),
    [
        ("anna", Application.LOCAL, "By:      anna, in the app on the host\n"),
        ("boss", Application.SSH, "By:      the administrator boss\n"),
        ("operator:root", Application.HOST, "By:      the operator on the host (root)\n"),
    ],
)
def test_whoever_did_it_is_named(actor, application, words):
    said = text(Event.CLEARED, actor, application)
    assert words in said
    assert ("If you did not expect this" in said) is (actor != "anna")


def test_lock():
    """It names no actor, but the source and whom to ask."""
    said = words_of(Event.LOCKED)
    assert "By: someone with your password or SSH key, over SSH from 192.0.2.1" in said
    assert "ask a system administrator to unlock you" in said


@pytest.mark.parametrize("event", _WORDS)
def test_every_notice_is_whole_sentences_and_plain(event):
    made = envelope(
        act(
            event,
            method="e-mail",
            fingerprint="SHA256:x",
            left=1,
            changes="Your phone number was removed.",
            failures=20,
            sources=9,
            terms="It is good.",
            until="2026-03-02 12:00 UTC",
            places="from an address",
            count=2,
            name="vpn",
            users=10,
            locks=["ben, 2026-03-02 09:00 UTC, over SSH from 192.0.2.1"],
        ),
        "a@b.example",
        "Twofold",
    )
    assert "?" not in made.text, "a detail is missing"
    assert "\n" not in made.subject
    assert len(made.subject) <= 78
    assert made.text.isascii()


def test_foreign_words_cannot_write_lines_of_their_own():
    said = text(Event.KEY_ADDED, "boss\nBy: nobody", fingerprint="x\x1b[2J\nAll is well")
    assert "\x1b" not in said
    assert "\nBy: nobody" not in said
    assert "\nAll is well" not in said


def test_recovery_codes_at_two_or_fewer():
    assert [is_told(Event.RECOVERY_USED, {"left": left}) for left in (4, 3, 2, 1, 0)] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_what_happens_at_every_sign_in_is_no_notice():
    for event in (
        Event.SIGNED_IN,
        Event.CODE_WRONG,
        Event.CODE_SENT,
        Event.USER_EDITED,
        Event.NOTICE_ABANDONED,
    ):
        assert not is_told(event, {})


def test_new_addresses_and_numbers_are_masked():
    both = {"email": "anna@new.example", "phone": "+493012344711"}
    assert contact_changes(both, " Codes are withdrawn.") == (
        "Your e-mail address is now a•••@new.example. Your phone number is now •••• 4711. "
        "Codes are withdrawn."
    )
    assert contact_changes({"phone": ""}, "") == "Your phone number was removed."


def test_a_long_new_address_is_said_in_full():
    address = "a@" + ".".join(["x" * 60] * 4)
    said = words_of(Event.USER_EDITED, changes=contact_changes({"email": address, "phone": ""}, ""))
    assert f"a•••{address[1:]}. Your phone number was removed." in said


def test_the_wait_doubles_up_to_an_hour():
    minutes = [wait_after(tries) / timedelta(minutes=1) for tries in (1, 2, 3, 6, 7, 1000)]
    assert minutes == [1, 2, 4, 32, 60, 60]
