"""Asking a member, at a terminal, for a fresh proof of who they are before a sensitive change."""

from typing import TYPE_CHECKING, assert_never

from data.delivery import sent_codes as delivery
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin.dialogue import CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.operations.users import credentials
from data.rules.domain_types import Method
from data.rules.safe_text import safe
from tui.cli.open_installation import refuse
from tui.cli.streams import ask, can_ask, echo

if TYPE_CHECKING:
    from tui.cli.member_caller import MemberCaller

_Step = Question | SendCode[FreshProofNeeded] | CheckCode[FreshProofNeeded]
_NOT_CONFIRMED = "Not confirmed. Nothing was changed."


def proven_afresh(here: "MemberCaller", needed: FreshProofNeeded) -> bool:
    """Ask for a fresh proof until it is given; an empty answer or Ctrl+C ends the command.

    Returns:
        True, always: without a proof, or where nobody can be asked, the command ends with what to do.
    """
    if not can_ask():
        refuse(f"Confirm it's you first: {here.command('me confirm').replace('ssh ', 'ssh -t ', 1)}")
    echo("Confirm it's you.", err=True)
    if needed.proof is FreshProof.PASSWORD:
        _ask_for_password(here)
    else:
        _ask_for_code(here, CodeDialogue(needed))
    return True


async def _send(here: "MemberCaller", method: Method) -> CodeSent | NotSent | Denied | SessionOver:
    return await delivery.send(here.store, here.carriers, credentials.send_fresh_code, here.actor, method)


def _ask_for_password(here: "MemberCaller") -> None:
    while True:
        typed = ask("Password: ", hidden=True)
        if not typed:
            refuse(_NOT_CONFIRMED)
        match here.wait(credentials.confirm_fresh_password, here.store, here.actor, typed):
            case Done():
                return
            case SessionOver(message):
                refuse(message)
            case Denied(message):
                echo(safe(message, 1_000), err=True)


def _ask_for_code(here: "MemberCaller", dialogue: CodeDialogue[FreshProofNeeded]) -> None:
    step: _Step | Done | SessionOver = dialogue.begin()
    while True:
        match step:
            case Question():
                if step.instruction:
                    echo(safe(step.instruction, 1_000), err=True)
                typed = ask(step.prompt)
                if not typed:
                    refuse(_NOT_CONFIRMED)
                step = dialogue.answer(typed)
            case SendCode(_, method):
                step = dialogue.take(here.wait(_send, here, method))
            case CheckCode(needed, typed):
                checked = here.run(
                    credentials.confirm_fresh_code, typed, replaces_phone=needed.replaces_phone
                )
                step = dialogue.take(checked)
            case SessionOver(message):
                refuse(message)
            case Done():
                return
            case _:
                assert_never(step)
