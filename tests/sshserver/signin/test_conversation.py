"""The sign-in conversation: what is asked, said, counted and proven."""

from dataclasses import replace

import pytest
from support.fake_backend import LOCKED, session
from support.terminal_answers import ANSWERS

from data.operations.signin.admission import Admitted, Attempt, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong
from data.operations.signin.dialogue import CheckCode
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected, NotJudged
from data.operations.signin.sent_codes import Lapse
from data.rules.domain_types import Application, FirstFactor
from data.rules.policy import ATTEMPTS
from data.rules.source_addresses import Origin
from sshserver.compat.hooks import AuthOutcome
from sshserver.limits.limit_values import Limits
from sshserver.signin.conversation import Ask, CheckPassword, Conversation, Reply

ATTEMPT = Attempt(1, "alice", Origin(Application.SSH, "192.0.2.1"), FirstFactor.KEY, "")
ADMITTED = Admitted(session())
PASSWORD, CODE = Ask("Password: "), Ask("Verification code: ")


@pytest.fixture
def talk():
    conversation = Conversation(Limits())
    conversation.begin()
    return conversation


def test_password_and_code(talk):
    assert talk.open_exchange() == PASSWORD
    assert talk.answer(["sesame"]) == CheckPassword("sesame")
    assert talk.take_first_factor(CodeNeeded(ATTEMPT)) == CODE
    assert talk.answer(["123456"]) == CheckCode(ATTEMPT, "123456")
    assert talk.take_code(ADMITTED) is Reply.SUCCESS
    assert talk.outcome is AuthOutcome.SUCCESS


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_terminal_answers_are_no_answer(talk, answer):
    """What a terminal answered meanwhile is no part of the user's answer."""
    talk.open_exchange()
    assert talk.answer([f"{answer}se{answer}same{answer}"]) == CheckPassword("sesame")
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.answer([f"{answer}123456\n"]) == CheckCode(ATTEMPT, "123456")


def test_after_a_proven_key_only_the_code_is_asked(talk):
    assert talk.take_key(CodeNeeded(ATTEMPT))
    assert talk.outcome is AuthOutcome.PARTIAL_SUCCESS
    assert not talk.offers_key
    assert talk.offers_questions
    assert talk.open_exchange() == CODE


def test_nothing_is_proven_before_a_result(talk):
    for step in (talk.open_exchange, lambda: talk.answer(["sesame"]), lambda: talk.answer([])):
        step()
        assert talk.outcome is AuthOutcome.FAILURE
        assert talk.session is None


def test_password_alone_is_partial(talk):
    talk.open_exchange()
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.outcome is AuthOutcome.PARTIAL_SUCCESS
    assert talk.session is None


def test_naming_another_user_takes_everything_back(talk):
    talk.take_key(CodeNeeded(ATTEMPT))
    talk.begin()
    assert talk.outcome is AuthOutcome.FAILURE
    assert talk.offers_key
    assert talk.open_exchange() == PASSWORD


def test_naming_another_user_keeps_the_counters(talk):
    talk.open_exchange()
    talk.take_first_factor(FirstFactorRejected())
    talk.count_unknown_key()
    talk.begin()
    assert (talk.wrong_answers, talk.unknown_keys) == (1, 1)


def test_wrong_password_without_a_word(talk):
    talk.open_exchange()
    assert talk.take_first_factor(FirstFactorRejected()) == PASSWORD
    assert talk.take_first_factor(FirstFactorRejected()) == PASSWORD


def test_limits_of_wrong_passwords(talk):
    """Three fail the exchange and ten the connection."""
    for _ in range(3):
        assert not talk.exhausted
        assert talk.open_exchange() == PASSWORD
        talk.take_first_factor(FirstFactorRejected())
        talk.take_first_factor(FirstFactorRejected())
        assert talk.take_first_factor(FirstFactorRejected()) is Reply.FAILURE
    assert talk.open_exchange() == PASSWORD
    assert talk.take_first_factor(FirstFactorRejected()) is Reply.FAILURE
    assert talk.exhausted
    assert talk.open_exchange() is Reply.FAILURE


def test_lock_after_mistyped_passwords(talk):
    """A user who mistypes three passwords and seven codes is told of the lock."""
    talk.open_exchange()
    for _ in range(3):
        talk.take_first_factor(FirstFactorRejected())
    talk.open_exchange()
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    for left in range(ATTEMPTS - 1, 0, -1):
        refused = talk.take_code(CodeWrong(left))
        if refused is Reply.FAILURE:
            refused = talk.open_exchange()
        assert isinstance(refused, Ask)
        assert refused.instruction.startswith(f"Wrong code, {left} attempt")
    assert talk.take_code(TurnedAway(LOCKED)) == Ask(None, LOCKED)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (CodeWrong(4), "Wrong code, 4 attempts left."),
        (CodeWrong(1), CodeWrong(1).message),
        (NotACode(), "That is not a code."),
        (WrongBefore(), WrongBefore().message),
        (CodeLapsed(Lapse.EXPIRED), Lapse.EXPIRED.value),
        (CodeAlreadyUsed(17), "Code already used. Wait 17 s for the next one."),
        (CodeAlreadyUsed(None), "Code already used."),
    ],
)
def test_a_refused_code_is_asked_again_with_its_reason(talk, result, words):
    talk.take_key(CodeNeeded(ATTEMPT))
    talk.open_exchange()
    asked = Ask("Verification code: ", f"{words} Type your app's code, or a recovery code.")
    assert talk.take_code(result) == asked


@pytest.mark.parametrize("result", [CodeWrong(5), NotACode(), WrongBefore(), CodeAlreadyUsed(None)])
def test_limits_of_wrong_answers(talk, result):
    """Three of any kind fail the exchange and ten the connection."""
    talk.take_key(CodeNeeded(ATTEMPT))
    for _ in range(3):
        talk.open_exchange()
        assert [talk.take_code(result) is Reply.FAILURE for _ in range(3)] == [False, False, True]
        assert not talk.exhausted
    asked = talk.open_exchange()
    assert isinstance(asked, Ask)
    assert asked.instruction.startswith(result.message)
    assert talk.take_code(result) is Reply.FAILURE
    assert talk.exhausted


def test_passwords_and_codes_count_together(talk):
    talk.open_exchange()
    talk.take_first_factor(FirstFactorRejected())
    talk.take_first_factor(FirstFactorRejected())
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.take_code(NotACode()) is Reply.FAILURE


def test_warning_at_two_attempts(talk):
    talk.take_key(CodeNeeded(replace(ATTEMPT, attempts_left=2)))
    asked = talk.open_exchange()
    assert asked == Ask(
        "Verification code: ", "2 attempts left. After that, a system administrator must unlock you."
    )


def test_endless_password_is_not_read(talk):
    talk.open_exchange()
    assert talk.answer(["x" * 1025]) == PASSWORD
    assert talk.wrong_answers == 1


@pytest.mark.parametrize("responses", [[], ["a", "b"]])
@pytest.mark.parametrize("proven", [False, True])
def test_wrong_number_of_answers(talk, responses, proven):
    if proven:
        talk.take_key(CodeNeeded(ATTEMPT))
    talk.open_exchange()
    assert talk.answer(responses) is Reply.FAILURE
    assert talk.wrong_answers == 1


def test_locked_user(talk):
    """The user is told so after the first factor and then turned away."""
    assert talk.take_key(TurnedAway(LOCKED))
    assert talk.outcome is AuthOutcome.PARTIAL_SUCCESS
    assert talk.open_exchange() == Ask(None, LOCKED)
    assert talk.answer([]) is Reply.FAILURE
    assert talk.exhausted
    assert talk.session is None


@pytest.mark.feature("attempts-left")
def test_locked_by_the_last_code(talk):
    """The user is told so in the same exchange."""
    talk.open_exchange()
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.take_code(TurnedAway(LOCKED)) == Ask(None, LOCKED)
    assert talk.answer([""]) is Reply.FAILURE


def test_first_factor_withdrawn_meanwhile(talk):
    talk.take_key(CodeNeeded(ATTEMPT))
    assert talk.take_code(FirstFactorRejected()) is Reply.FAILURE
    assert talk.outcome is AuthOutcome.FAILURE


def test_twenty_unknown_keys_are_enough(talk):
    for _ in range(19):
        talk.count_unknown_key()
    assert not talk.exhausted
    talk.count_unknown_key()
    assert talk.exhausted


def test_free_requests_are_limited(talk):
    for _ in range(Limits().sign_in_requests):
        talk.open_request()
    assert talk.exhausted


def test_password_not_judged_is_asked_again(talk):
    """The reason is given, and the questions end."""
    talk.open_exchange()
    for _ in range(Limits().sign_in_requests - 3):
        assert talk.take_first_factor(NotJudged()) == Ask("Password: ", NotJudged.message)
    assert talk.wrong_answers == 0
    assert talk.outcome is AuthOutcome.FAILURE
    assert talk.take_first_factor(NotJudged()) is Reply.FAILURE
    assert talk.exhausted


def test_an_answer_after_admission_changes_nothing(talk):
    talk.take_key(ADMITTED)
    assert talk.answer(["anything"]) is Reply.FAILURE
    assert not talk.offers_questions
    assert not talk.offers_key
    assert talk.outcome is AuthOutcome.SUCCESS


def test_stale_result(talk):
    """It counts when wrong and opens nothing."""
    talk.take_stale(ADMITTED)
    talk.take_stale(CodeNeeded(ATTEMPT))
    assert (talk.outcome, talk.wrong_answers) == (AuthOutcome.FAILURE, 0)
    talk.take_stale(CodeWrong(3))
    talk.take_stale(FirstFactorRejected())
    assert talk.wrong_answers == 2


def test_answers_are_not_shown_by_repr():
    assert "sesame" not in repr(CheckPassword("sesame"))
    assert "123456" not in repr(CheckCode(ATTEMPT, "123456"))
