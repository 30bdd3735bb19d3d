"""Asking for a code or the password in text: as fresh proof, and for a session that still needs a code."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from data.delivery import sent_codes as delivery
from data.operations.results import Denied, Done, FreshProof, FreshProofNeeded, SessionOver
from data.operations.signin import second_factor
from data.operations.signin.admission import Admitted, Attempt, TurnedAway
from data.operations.signin.dialogue import CheckCode, CodeDialogue, Question, SendCode
from data.operations.signin.first_factor import FirstFactorRejected
from data.operations.signin.second_factor import SendResult
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.operations.users import credentials
from data.rules import sent_codes
from data.rules.domain_types import Method
from tui.cli.caller import Caller
from tui.cli.open_installation import confirmed, refuse
from tui.cli.prompts import reply, tell

R = TypeVar("R")
A = TypeVar("A", bound=Attempt | FreshProofNeeded)
_Step = SendCode[A] | CheckCode[A]
_WHY = {False: "Confirm it's you.", True: "Confirm it's you. A temporary code is good too."}
"""What is said before the question, and whether a temporary code is proof."""
_NOT_CONFIRMED = "Not confirmed. Nothing was changed."


def give_proof(here: Caller, needed: FreshProofNeeded) -> Done:
    """Ask for a fresh code or the password until it is right.

    Raises:
        click.ClickException: when the input ends before, or the session does.
    """
    tell(_WHY[needed.replaces_phone], err=True)
    try:
        if needed.proof is FreshProof.PASSWORD:
            return _give_password(here)
        return confirmed(_give_code(here, needed))
    except click.Abort:
        refuse(_NOT_CONFIRMED)


def _give_password(here: Caller) -> Done:
    while True:
        typed = reply("Password: ", hidden=True)
        result = here.finish(credentials.confirm_fresh_password, here.store, here.actor, typed)
        if not isinstance(result, Denied):
            return confirmed(result)
        tell(result.message, err=True)


def _give_code(here: Caller, needed: FreshProofNeeded) -> Done | SessionOver:
    dialogue, replaces_phone = CodeDialogue(needed), needed.replaces_phone

    async def send(method: Method) -> CodeSent | NotSent | Denied | SessionOver:
        return await delivery.send(here.store, here.carriers, credentials.send_fresh_code, here.actor, method)

    def carry_out(step: _Step[FreshProofNeeded]) -> Question | Done | SessionOver:
        if isinstance(step, SendCode):
            return dialogue.take(here.wait(send, step.method))
        judged = here.run(credentials.confirm_fresh_code, step.answer, replaces_phone=replaces_phone)
        return dialogue.take(judged)

    ended: Done | SessionOver = _ask_for_code(dialogue, carry_out)
    return ended


def sign_in_with_code(here: Caller, attempt: Attempt) -> Admitted | TurnedAway | FirstFactorRejected:
    """Ask for the second factor that a restricted session needs, until it is right or pointless."""
    dialogue = CodeDialogue(attempt)

    async def send(method: Method) -> SendResult:
        return await delivery.send(here.store, here.carriers, second_factor.send_code, attempt, method)

    def carry_out(step: _Step[Attempt]) -> Question | Admitted | TurnedAway | FirstFactorRejected:
        if isinstance(step, SendCode):
            return dialogue.take(here.wait(send, step.method))
        return dialogue.take(here.finish(here.store.run, second_factor.submit_code, attempt, step.answer))

    ended: Admitted | TurnedAway | FirstFactorRejected = _ask_for_code(dialogue, carry_out)
    return ended


def _ask_for_code(dialogue: CodeDialogue[A], carry_out: Callable[[_Step[A]], Any]) -> Any:
    """Ask until `carry_out` returns what is no question: that ends the dialogue."""
    step: Question | _Step[A] = dialogue.begin()
    while True:
        match step:
            case Question():
                tell(_instruction(step), err=True)
                step = dialogue.answer(_typed("Code: " if step.methods else step.prompt))
            case SendCode() | CheckCode():
                step = carry_out(step)
            case _:
                return step


def _instruction(question: Question) -> str:
    """Return all that there is to say, so that the prompt can be short."""
    parts = (question.said, sent_codes.what_to_type(question.methods), question.warning)
    return " ".join(part for part in parts if part)


def _typed(prompt: str) -> str:
    """Ask until something is typed: an empty line is no answer."""
    while not (typed := reply(prompt)).strip():
        pass
    return typed
