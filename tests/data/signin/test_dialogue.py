"""The dialogue that asks for a code: what is asked, sent and said, and what ends it."""

import pytest

from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin.code_verification import CodeWrong
from data.operations.signin.dialogue import After, CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.resync import NextCodeWanted
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.domain_types import Method

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL
SENT = CodeSent(EMAIL, "a•••@example.org")


def asking(*methods: Method, left: int = 7) -> CodeDialogue[FreshProofNeeded]:
    return CodeDialogue(FreshProofNeeded(FreshProof.CODE, methods, left))


def test_the_only_way_to_have_a_code_is_taken_unasked_and_once():
    dialogue = asking(EMAIL)
    assert dialogue.begin() == SendCode(dialogue.asked, EMAIL)
    assert dialogue.begin() == Question((EMAIL,))
    assert asking(APP, EMAIL).begin() == Question((APP, EMAIL))


def test_a_letter_has_a_code_sent_where_its_method_is_offered():
    dialogue = asking(APP, EMAIL)
    assert dialogue.answer(" E ") == SendCode(dialogue.asked, EMAIL)
    assert dialogue.answer("s") == CheckCode(dialogue.asked, "s")


@pytest.mark.parametrize(
    ("result", "said", "after"),
    [
        (SENT, SENT.message, After.SENT),
        (NotSent("Not now."), "Not now.", After.REFUSED),
        (CodeWrong(6), CodeWrong(6).message, After.REFUSED),
        (NextCodeWanted(7), NextCodeWanted(7).message, After.FIRST_OF_TWO),
        (Denied("Not set up."), "Not set up.", After.REFUSED),
    ],
)
def test_what_came_of_an_answer_is_said_with_the_next_question(result, said, after):
    assert asking(APP).take(result) == Question((APP,), said=said, after=after)


@pytest.mark.parametrize("end", [Done("Confirmed."), SessionOver()])
def test_what_ends_it_is_given_back(end):
    assert asking(APP).take(end) is end


def test_few_attempts_are_warned_of_until_an_answer_says_how_many_are_left():
    dialogue = asking(APP, SMS, left=2)
    warned = dialogue.begin()
    assert isinstance(warned, Question)
    assert warned.warning.startswith("2 attempts left.")
    assert dialogue.take(NotSent("Not now.")).warning == warned.warning
    assert dialogue.take(CodeWrong(1)).warning == ""
    again = dialogue.begin()
    assert isinstance(again, Question)
    assert (again.said, again.warning) == (CodeWrong(1).message, "")
