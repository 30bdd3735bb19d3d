"""The question for the first code of a method that is being set up."""

from collections.abc import Callable, Mapping

from data.operations.results import Refused
from data.operations.signin.attempts import NotACode
from data.operations.signin.enrolment import Enrolled, EnrolmentCodeWrong
from data.wording import enrolment as wording
from tui.cli.open_installation import confirmed
from tui.cli.prompts import reply, tell


def confirm_code(
    question: str,
    confirm: Callable[[str], Enrolled | EnrolmentCodeWrong | NotACode | Refused],
    wrong: Callable[[EnrolmentCodeWrong], str],
    words: Mapping[str, Callable[[], None]],
) -> Enrolled:
    """Ask for the code until it is right, which never counts as an attempt; `words` can be typed instead."""
    tell(question, err=True)
    while True:
        typed = reply("Code: ").strip()
        if not typed:
            continue
        if typed.lower() in words:
            words[typed.lower()]()
            continue
        match confirm(typed):
            case NotACode() as unread:
                tell(wording.not_a_code(unread), err=True)
            case EnrolmentCodeWrong() as result:
                tell(wrong(result), err=True)
            case ended:
                return confirmed(ended)
