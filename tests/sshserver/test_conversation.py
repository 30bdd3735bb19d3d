"""The sign-in conversation: what is asked, said, counted and proven."""

from dataclasses import replace

import pytest
from support.ssh_gate import LOCKED, session
from support.terminal_answers import ANSWERS

from data.operations.signin.admission import Admitted, Attempt, Origin, TurnedAway
from data.operations.signin.attempts import NotACode, WrongBefore
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeLapsed, CodeWrong
from data.operations.signin.dialogue import CheckCode
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected, NotJudged
from data.operations.signin.sent_codes import Lapse
from data.rules.domain_types import Application, FirstFactor
from data.rules.policy import ATTEMPTS
from sshserver.limits.limit_values import Limits
from sshserver.signin.conversation import Ask, AuthOutcome, CheckPassword, Conversation, Reply

ATTEMPT = Attempt(1, "alice", Origin(Application.SSH, "192.0.2.1"), FirstFactor.KEY, "")
ADMITTED = Admitted(session())
PASSWORD, CODE = Ask("Password: "), Ask("Verification code: ")


@pytest.fixture
def talk():
    conversation = Conversation(Limits())
    conversation.begin()
    return conversation


def test_an_exchange_without_a_key_asks_the_password_and_then_the_code(talk):
    assert talk.open_exchange() == PASSWORD
    assert talk.answer(["sesame"]) == CheckPassword("sesame")
    assert talk.take_first_factor(CodeNeeded(ATTEMPT)) == CODE
    assert talk.answer(["123456"]) == CheckCode(ATTEMPT, "123456")
    assert talk.take_code(ADMITTED) is Reply.SUCCESS
    assert talk.outcome is AuthOutcome.SUCCESS


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_what_a_terminal_answered_meanwhile_is_no_part_of_an_answer(talk, answer):
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


def test_nothing_is_proven_before_a_result_of_the_data_layer(talk):
    for step in (talk.open_exchange, lambda: talk.answer(["sesame"]), lambda: talk.answer([])):
        step()
        assert talk.outcome is AuthOutcome.FAILURE
        assert talk.session is None


def test_a_password_alone_is_partial_and_never_admitted(talk):
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


def test_a_wrong_password_is_asked_again_without_a_word(talk):
    talk.open_exchange()
    assert talk.take_first_factor(FirstFactorRejected()) == PASSWORD
    assert talk.take_first_factor(FirstFactorRejected()) == PASSWORD


def test_three_wrong_passwords_fail_the_exchange_and_ten_the_connection(talk):
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


def test_whoever_mistypes_the_password_thrice_and_seven_codes_is_told_of_the_lock(talk):
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
        (CodeAlreadyUsed(17), "That code was already used, next one in 17 s."),
        (CodeAlreadyUsed(None), "That code was already used."),
    ],
)
def test_a_refused_code_is_asked_again_with_its_reason(talk, result, words):
    talk.take_key(CodeNeeded(ATTEMPT))
    talk.open_exchange()
    asked = Ask("Verification code: ", f"{words} Type your app's code, or a recovery code.")
    assert talk.take_code(result) == asked


@pytest.mark.parametrize("result", [CodeWrong(5), NotACode(), WrongBefore(), CodeAlreadyUsed(None)])
def test_three_wrong_answers_of_any_kind_fail_the_exchange_and_ten_the_connection(talk, result):
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


def test_wrong_passwords_and_wrong_codes_of_an_exchange_count_together(talk):
    talk.open_exchange()
    talk.take_first_factor(FirstFactorRejected())
    talk.take_first_factor(FirstFactorRejected())
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.take_code(NotACode()) is Reply.FAILURE


def test_someone_with_two_attempts_left_is_warned_before_the_first_answer(talk):
    talk.take_key(CodeNeeded(replace(ATTEMPT, attempts_left=2)))
    asked = talk.open_exchange()
    assert asked == Ask(
        "Verification code: ", "2 attempts left. After that, a system administrator must unlock you."
    )


def test_an_endless_password_is_wrong_without_a_look_at_it(talk):
    talk.open_exchange()
    assert talk.answer(["x" * 1025]) == PASSWORD
    assert talk.wrong_answers == 1


@pytest.mark.parametrize("responses", [[], ["a", "b"]])
@pytest.mark.parametrize("proven", [False, True])
def test_any_other_number_of_answers_than_one_is_a_counted_failure(talk, responses, proven):
    if proven:
        talk.take_key(CodeNeeded(ATTEMPT))
    talk.open_exchange()
    assert talk.answer(responses) is Reply.FAILURE
    assert talk.wrong_answers == 1


def test_a_locked_user_is_told_so_after_the_first_factor_and_then_turned_away(talk):
    assert talk.take_key(TurnedAway(LOCKED))
    assert talk.outcome is AuthOutcome.PARTIAL_SUCCESS
    assert talk.open_exchange() == Ask(None, LOCKED)
    assert talk.answer([]) is Reply.FAILURE
    assert talk.exhausted
    assert talk.session is None


@pytest.mark.feature("attempts-left")
def test_a_user_who_is_locked_by_the_last_wrong_code_is_told_so_in_the_same_exchange(talk):
    talk.open_exchange()
    talk.take_first_factor(CodeNeeded(ATTEMPT))
    assert talk.take_code(TurnedAway(LOCKED)) == Ask(None, LOCKED)
    assert talk.answer([""]) is Reply.FAILURE


def test_a_first_factor_that_was_withdrawn_meanwhile_proves_nothing(talk):
    talk.take_key(CodeNeeded(ATTEMPT))
    assert talk.take_code(FirstFactorRejected()) is Reply.FAILURE
    assert talk.outcome is AuthOutcome.FAILURE


def test_twenty_unknown_keys_are_enough(talk):
    for _ in range(19):
        talk.count_unknown_key()
    assert not talk.exhausted
    talk.count_unknown_key()
    assert talk.exhausted


def test_requests_that_cost_nothing_are_not_endless_either(talk):
    for _ in range(Limits().sign_in_requests):
        talk.open_request()
    assert talk.exhausted


def test_a_password_that_was_not_judged_is_asked_again_with_the_reason_and_not_endlessly(talk):
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


def test_a_stale_result_counts_when_wrong_and_opens_nothing(talk):
    talk.take_stale(ADMITTED)
    talk.take_stale(CodeNeeded(ATTEMPT))
    assert (talk.outcome, talk.wrong_answers) == (AuthOutcome.FAILURE, 0)
    talk.take_stale(CodeWrong(3))
    talk.take_stale(FirstFactorRejected())
    assert talk.wrong_answers == 2


def test_answers_are_not_shown_by_repr():
    assert "sesame" not in repr(CheckPassword("sesame"))
    assert "123456" not in repr(CheckCode(ATTEMPT, "123456"))
