"""The plain mode: a prompt that runs a member's commands, and text that stays where it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TextIO, cast

import click

from data.operations.signin import admission
from data.operations.signin.admission import Session
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, Step
from data.wording.consequences import LOST_PHONE, replace_phone
from data.wording.enrolment import REPLACE_ONE_TIME_PASSWORD
from sshserver.command_streams import Ask
from sshserver.session.command_session import CommandLineError, split
from tui.cli.caller import Caller
from tui.cli.commands.me import read_profile, two_factor
from tui.cli.member.own_session import phone_may_be_lost, welcome, what_next
from tui.cli.open_installation import confirmed
from tui.cli.plain.paged_output import PagedOutput
from tui.cli.prompts import ask_yes, tell
from tui.cli.running import invoke, outcome, words_for_member
from tui.cli.streams import streams, using

PROMPT: Final = "twofold> "
_HOW: Final = "Type help for the commands, help pages for the manual, and exit to leave."
_PROGRAM: Final = "twofold"
_LEAVE: Final = frozenset({"exit", "quit", "logout"})
_SSH, _HOST = "ssh", "gate"
"""What stands around the options of ssh in examples, all of which may be typed here too."""
_HELP: Final = {"help": ["--help"], "help pages": ["help"]}
"""What is asked for more often comes first: the commands, then the pages of the manual."""
_DIALOGUES: Final = frozenset({"me"})
"""Commands that ask step by step, where a question about more would be one too many."""
_LEADING_OUT: Final[dict[type[Step], list[str]]] = {
    MustChangePassword: ["me", "password"],
    MustEnrol: ["me", "enrol"],
    NeedCode: ["me", "confirm"],
}
_LONGEST: Final = 4096
_FAILED, _WRONG_USAGE = 1, 2


class PlainPrompt:
    """Runs the commands of a tree for one member, as they are typed."""

    def __init__(self, root: click.Group, here: Caller, session: Session, ask: Ask) -> None:
        """Ask at `ask`, for the commands and for what they need to know."""
        self._root = root
        self._here = here
        self._session = session
        self._ask = ask

    def run(self) -> int:
        """Finish the sign-in, then run commands until their user leaves; return the last exit status."""
        with using(replace(streams(), ask=self._ask, is_plain=True)):
            tell(f"Signed in as {self._session.username}. {_HOW}")
            return self._run_lines() if self._finishes_signing_in() else _FAILED

    def _finishes_signing_in(self) -> bool:
        """Begin what must be done first, each step once; return whether the session goes on after it."""
        outcome(lambda: welcome(self._here, self._session), words_for_member)
        begun: list[Step] = []
        while _goes_on() and (step := self._step()) is not None and step not in begun:
            begun.append(step)
            if isinstance(step, MustChangePassword):
                tell(REPLACE_ONE_TIME_PASSWORD)
            self._run(_LEADING_OUT[type(step)])
        if _goes_on():
            outcome(self._offer_new_phone, words_for_member)
        if _goes_on():
            outcome(self._say_how_it_is, words_for_member)
        return _goes_on()

    def _offer_new_phone(self) -> None:
        """Offer to replace a phone that may be lost, while the temporary code is proof for that."""
        if phone_may_be_lost(self._here, self._session):
            tell(LOST_PHONE)
            if ask_yes(replace_phone().title):
                self._run(["me", "replace-phone"])

    def _step(self) -> Step | None:
        """Return what the session must do first, if a command does it."""
        found: list[Session | None] = []
        outcome(
            lambda: found.append(confirmed(self._here.run(admission.unfinished_session))), words_for_member
        )
        session = found[0] if found else None
        return session.step if session is not None and type(session.step) in _LEADING_OUT else None

    def _say_how_it_is(self) -> None:
        if left_to_do := what_next(self._here):
            tell(left_to_do)
        else:
            tell(two_factor(read_profile(self._here).detail, self._here.store.services.clock()))

    def _run_lines(self) -> int:
        status = 0
        while _goes_on():
            try:
                words = _words(self._ask(PROMPT, kept=True))
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            except CommandLineError as error:
                tell(str(error))
                status = _WRONG_USAGE
                continue
            if words and words[0] in _LEAVE:
                break
            if words:
                status = self._run(_HELP.get(" ".join(words), words))
        return status

    def _run(self, words: Sequence[str]) -> int:
        """Run a command, a screen at a time; return its exit status.

        Raises:
            BrokenPipeError: when no one reads any more.
        """
        around = streams()
        paged = PagedOutput(around, self._ask)

        def ask(prompt: str, hidden: bool = False, kept: bool = False) -> str:  # noqa: ARG001 - answers are not.
            paged.begin_screen()
            return self._ask(prompt, hidden)

        is_paged = around.rows is not None and words[0] not in _DIALOGUES
        try:
            with using(replace(around, stdout=cast("TextIO", paged), ask=ask) if is_paged else around):
                return outcome(lambda: invoke(self._root, _PROGRAM, self._here, words), words_for_member)
        except BrokenPipeError:
            if not paged.is_left:
                raise
            return 0


def _goes_on() -> bool:
    """Forget a Ctrl+C, which stops a command only; return whether the session goes on."""
    streams().interruption.clear()
    return not streams().interruption


def _words(line: str) -> list[str]:
    """Split a line.

    Raises:
        CommandLineError: when a quote has no end.
    """
    words = split(line, _LONGEST)
    if words[:1] == [_PROGRAM]:
        return words[1:]
    if words[:1] == [_SSH] and _HOST in words:
        words = words[words.index(_HOST) + 1 :]
        return split(words[0], _LONGEST) if len(words) == 1 else words
    return words
