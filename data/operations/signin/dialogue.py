"""The dialogue that asks for a second factor, without input or output, the same for every face.

A face shows each `Question`, passes what was typed to `answer`, has that sent or checked, and passes the
result to `take`, which returns the next question or what the dialogue ends with.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from data.operations.results import Denied, FreshProofNeeded
from data.operations.signin.admission import Attempt
from data.operations.signin.attempts import AskedAgain
from data.operations.signin.resync import NextCodeWanted
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules import sent_codes
from data.rules.domain_types import Method
from data.rules.policy import warning_of_few

A = TypeVar("A", bound=Attempt | FreshProofNeeded)
"""Who is asked for a code: by which methods they can get one, and how often they can be wrong."""
R = TypeVar("R")


class After(Enum):
    """What a question follows."""

    NOTHING = "nothing"
    SENT = "a code that was sent"
    FIRST_OF_TWO = "the first code of a pair"
    REFUSED = "a refused answer or request for a code"


@dataclass(frozen=True, slots=True)
class Question:
    """The question for a code; `said` reports the result before it."""

    methods: tuple[Method, ...]
    warning: str = ""
    said: str = ""
    after: After = After.NOTHING

    @property
    def prompt(self) -> str:
        """The prompt before the answer."""
        return sent_codes.prompt(self.methods)

    @property
    def instruction(self) -> str:
        """Everything to say before the prompt, for a face that has only one line for it."""
        hint = sent_codes.what_to_type(self.methods) if self.said else sent_codes.instruction(self.methods)
        return " ".join(words for words in (self.said, hint, self.warning) if words)


@dataclass(frozen=True, slots=True)
class SendCode(Generic[A]):
    """Have a code sent."""

    asked: A = field(repr=False)
    method: Method


@dataclass(frozen=True, slots=True)
class CheckCode(Generic[A]):
    """Have an answer judged."""

    asked: A = field(repr=False)
    answer: str = field(repr=False)


class CodeDialogue(Generic[A]):
    """Asks for codes until one is right or asking is pointless."""

    def __init__(self, asked: A) -> None:
        """Ask the user that `asked` is about."""
        self.asked = asked
        self._sent_unasked = False
        self._refused = ""

    def begin(self) -> Question | SendCode[A]:
        """Begin, or begin again: if sending is the only way to get a code, it is sent unasked, once."""
        method = None if self._sent_unasked else sent_codes.sent_at_once(self.asked.methods)
        if method is None:
            return self._question(self._refused, After.REFUSED if self._refused else After.NOTHING)
        self._sent_unasked = True
        return SendCode(self.asked, method)

    def answer(self, typed: str) -> SendCode[A] | CheckCode[A]:
        """Take an answer, or the letter that asks for a code to be sent."""
        method = sent_codes.asked_for(typed, self.asked.methods)
        return CheckCode(self.asked, typed) if method is None else SendCode(self.asked, method)

    def take(self, result: CodeSent | NotSent | AskedAgain | Denied | R) -> Question | R:
        """Take the result of sending or checking a code; a result that ends the dialogue is returned."""
        if isinstance(result, CodeSent):
            return self._question(result.message, After.SENT)
        if isinstance(result, NotSent):
            return self._question(result.reason, After.REFUSED)
        if isinstance(result, AskedAgain | Denied):
            self._refused = result.message
            more = isinstance(result, NextCodeWanted)
            return self._question(result.message, After.FIRST_OF_TWO if more else After.REFUSED)
        return result

    def _question(self, said: str, after: After) -> Question:
        """Word a question; the warning about few attempts is true until an answer was refused."""
        warning = "" if self._refused else warning_of_few(self.asked.attempts_left)
        return Question(self.asked.methods, warning, said, after)
