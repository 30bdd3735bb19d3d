"""The sign-in conversation of one connection, without input or output.

`userauth.py` passes it what the client sends and what the data operations answer, and carries out what it
returns. It alone knows what has been proven. Only a result of the data layer proves anything, and a change of
the user name revokes everything.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from data.operations.results import Denied
from data.operations.signin.admission import Admitted, Attempt, Session, TurnedAway
from data.operations.signin.attempts import AskedAgain
from data.operations.signin.dialogue import CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.first_factor import (
    CodeNeeded,
    FirstFactorRejected,
    FirstFactorResult,
    NotJudged,
    PasswordResult,
)
from data.operations.signin.second_factor import CodeResult, SendResult
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.domain_types import Method
from data.rules.safe_text import was_decoded
from data.rules.sent_codes import prompt
from sshserver.compat.hooks import AuthOutcome
from sshserver.limits.limit_values import Limits
from sshserver.terminal.sequences import without_sequences

PASSWORD_PROMPT: Final = "Password: "  # noqa: S105 - a prompt.
CODE_PROMPT: Final = prompt((Method.APP,))
_NOT_UTF8: Final = "Your terminal does not send UTF-8. Set it to UTF-8, then try again."


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a challenge; without a prompt it only informs. Answers are never echoed (RFC 4256)."""

    prompt: str | None
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Let the data layer judge a password."""

    password: str = field(repr=False)


class Reply(Enum):
    """How an exchange or a request ends."""

    SUCCESS = "success"
    FAILURE = "failure"


class Conversation:
    """What one connection has proven, asked and got wrong.

    The counters belong to the connection and survive a change of the user name; nothing else does.
    """

    def __init__(self, limits: Limits) -> None:
        """Start with nothing proven."""
        self._limits = limits
        self._stage: CodeDialogue[Attempt] | TurnedAway | Session | None = None
        """A code is asked for, sign-in is refused, or both factors are proven; None before the first."""
        self._wrong_in_exchange = 0
        self._told_away = False
        self.exchange = 0
        """The number of the current exchange; a result from another exchange is stale."""
        self.wrong_answers = 0
        self.unknown_keys = 0
        self.requests = 0
        self.sent_codes = 0
        """The number of codes sent to the user who is signing in."""

    @property
    def offers_key(self) -> bool:
        """Whether public keys are accepted now."""
        return self._stage is None

    @property
    def offers_questions(self) -> bool:
        """Whether keyboard-interactive is offered now."""
        return not isinstance(self._stage, Session)

    @property
    def first_factor_passed(self) -> bool:
        """Whether the first factor was proven and not revoked."""
        return isinstance(self._stage, CodeDialogue | Session)

    @property
    def user_id(self) -> int | None:
        """The user whose first factor was proven, or None."""
        match self._stage:
            case CodeDialogue(asked=attempt):
                return attempt.user_id
            case Session(user_id=user_id):
                return user_id
            case _:
                return None

    @property
    def answers_wanted(self) -> int:
        """The number of answers to the last question; the reason for a refusal needs none."""
        return 0 if isinstance(self._stage, TurnedAway) else 1

    @property
    def session(self) -> Session | None:
        """The session that both factors opened, or None."""
        return self._stage if isinstance(self._stage, Session) else None

    @property
    def outcome(self) -> AuthOutcome:
        """How a request that claims success is answered."""
        match self._stage:
            case Session():
                return AuthOutcome.SUCCESS
            case CodeDialogue() | TurnedAway():
                return AuthOutcome.PARTIAL_SUCCESS
            case _:
                return AuthOutcome.FAILURE

    @property
    def exhausted(self) -> bool:
        """Whether the connection has no tries left, or was told that it is refused."""
        return (
            self._told_away
            or self.wrong_answers >= self._limits.wrong_answers
            or self.unknown_keys >= self._limits.unknown_keys
            or self.requests >= self._limits.sign_in_requests
        )

    def begin(self) -> None:
        """Revoke everything: the client names a user, or another one."""
        self._stage = None
        self.open_request()

    def open_request(self) -> None:
        """Count a request; results of earlier ones are now stale."""
        self.exchange += 1
        self.requests += 1

    def count_refusal(self) -> None:
        """Count a refusal of a request that this conversation was not asked about."""
        self.requests += 1

    def open_exchange(self) -> Ask | SendCode[Attempt] | Reply:
        """Start a keyboard-interactive exchange."""
        self.open_request()
        self._wrong_in_exchange = 0
        return Reply.FAILURE if self.exhausted else self._question()

    def answer(
        self, responses: list[str]
    ) -> CheckPassword | CheckCode[Attempt] | SendCode[Attempt] | Ask | Reply:
        """Take the responses to the last challenge."""
        if isinstance(self._stage, TurnedAway):
            self._told_away = True
            return Reply.FAILURE
        if len(responses) != 1 or isinstance(self._stage, Session):
            return self.count_wrong_answer()
        text = self._as_typed(responses[0])
        if isinstance(self._stage, CodeDialogue):
            return self._code_answer(self._stage, text)
        return self._password_answer(text)

    def count_wrong_answer(self) -> Reply:
        """Count an answer that is wrong in any case, and fail its exchange."""
        self.wrong_answers += 1
        return Reply.FAILURE

    def count_unknown_key(self) -> None:
        """Count a key that is not the user's or whose type is not accepted."""
        self.unknown_keys += 1

    def take_first_factor(self, result: PasswordResult) -> Ask | SendCode[Attempt] | Reply:
        """Take the data layer's judgement of a password from this exchange."""
        if isinstance(result, FirstFactorRejected):
            return self._wrong_password()
        if isinstance(result, NotJudged):
            # Nothing was wrong; the limit on requests bounds retries.
            self.requests += 1
            return Reply.FAILURE if self.exhausted else Ask(PASSWORD_PROMPT, result.message)
        self._advance(result)
        return Reply.SUCCESS if self.session else self._question()

    def take_key(self, result: FirstFactorResult) -> bool:
        """Take the data layer's judgement of a key whose signature was verified."""
        if isinstance(result, FirstFactorRejected):
            self.count_unknown_key()
            return False
        self._advance(result)
        return True

    def take_sent(self, result: SendResult) -> Ask | Reply:
        """Take the result of sending a code; asking for one is neither right nor wrong."""
        if isinstance(result, TurnedAway):
            self._advance(result)
            return Ask(None, result.reason)
        self.sent_codes += isinstance(result, CodeSent)
        return self._take(result)

    def take_code(self, result: CodeResult) -> Ask | SendCode[Attempt] | Reply:
        """Take the data layer's judgement of a code."""
        match result:
            case FirstFactorRejected():
                self._stage = None
                return self.count_wrong_answer()
            case Admitted() | TurnedAway():
                self._advance(result)
                return Reply.SUCCESS if self.session else self._question()
            case _:
                return self._wrong_code(result)

    def take_stale(self, result: PasswordResult | CodeResult | SendResult) -> None:
        """Count a result that came too late to change anything: a wrong answer still counts."""
        if isinstance(result, FirstFactorRejected | AskedAgain):
            self.wrong_answers += 1

    def _advance(self, result: CodeNeeded | Admitted | TurnedAway) -> None:
        match result:
            case CodeNeeded(attempt):
                self._stage = CodeDialogue(attempt)
            case Admitted(session):
                self._stage = session
            case TurnedAway():
                self._stage = result

    def _question(self) -> Ask | SendCode[Attempt] | Reply:
        match self._stage:
            case None:
                return Ask(PASSWORD_PROMPT)
            case CodeDialogue():
                step = self._stage.begin()
                return _in_exchange(step) if isinstance(step, Question) else step
            case TurnedAway(reason):
                return Ask(None, reason)
            case _:
                return Reply.FAILURE

    def _as_typed(self, answer: str) -> str:
        """Return an answer without what no person types; leave one that is too long unchanged."""
        if len(answer) > self._limits.password_characters:
            return answer
        return without_sequences(answer).rstrip("\r\n")

    def _password_answer(self, text: str) -> CheckPassword | Ask | Reply:
        if not was_decoded(text):
            return self._wrong_password(_NOT_UTF8)
        if len(text) > self._limits.password_characters:
            return self._wrong_password()
        return CheckPassword(text)

    def _code_answer(
        self, dialogue: CodeDialogue[Attempt], text: str
    ) -> CheckCode[Attempt] | SendCode[Attempt] | Ask | Reply:
        if not was_decoded(text):
            return self._wrong_code(Denied(_NOT_UTF8))
        step = dialogue.answer(text)
        if isinstance(step, SendCode):
            # The limit on requests bounds asking too, so that it is not endless.
            self.requests += 1
            if self.exhausted:
                return Reply.FAILURE
        return step

    def _wrong_code(self, result: AskedAgain | Denied) -> Ask | Reply:
        fails = self._fails_exchange()
        reply = self._take(result)
        return Reply.FAILURE if fails else reply

    def _take(self, result: CodeSent | NotSent | AskedAgain | Denied) -> Ask | Reply:
        """Ask for a code again."""
        if not isinstance(self._stage, CodeDialogue):
            return Reply.FAILURE
        return _in_exchange(self._stage.take(result))

    def _wrong_password(self, reason: str = "") -> Ask | Reply:
        return Reply.FAILURE if self._fails_exchange() else Ask(PASSWORD_PROMPT, reason)

    def _fails_exchange(self) -> bool:
        """Count a wrong answer; return whether it ends this exchange."""
        self.wrong_answers += 1
        self._wrong_in_exchange += 1
        return self.exhausted or self._wrong_in_exchange >= self._limits.wrong_answers_per_exchange


def _in_exchange(question: Question) -> Ask:
    """Put a question into the prompt and the instruction of a challenge."""
    return Ask(question.prompt, question.instruction)
