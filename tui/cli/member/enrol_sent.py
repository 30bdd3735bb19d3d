"""Enrolment for sent codes as text: a code or a message verifies the address or number."""

import asyncio
from typing import Final

import click

from data.delivery import sent_codes
from data.operations.results import Denied, RefusedOrStale
from data.operations.signin import enrolment, inbound_sms
from data.operations.signin.enrolment import Enrolled, PendingDestination, PendingMessage
from data.operations.signin.inbound_sms import Sighting
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules import inbound_sms_codes
from data.rules.user_fields import fold_phone, phone_to_read
from data.wording import enrolment as wording
from tui.cli.caller import Caller
from tui.cli.member.enrol_code import confirm_code
from tui.cli.open_installation import confirmed
from tui.cli.prompts import choose, reply, tell
from tui.cli.streams import echo, streams

LOOKS: Final = 10
"""How often a message is looked for before the question is asked again."""
LOOK_SECONDS: float = 1.0
_NEW = "new"


def prove_address(here: Caller) -> Enrolled:
    """Verify the address on the profile by a code that is sent there."""
    pending = confirmed(here.run(enrolment.begin_email))
    return _prove_by_code(here, pending)


def prove_number(here: Caller, sms_number: str | None) -> Enrolled:
    """Verify a phone number by a code sent to it or, if messages can be received, by one sent from it."""
    if sms_number is None:
        return _prove_typed(here)
    ways = [wording.TYPE_NUMBER, wording.send_to(phone_to_read(sms_number))]
    by_message = choose(wording.CHOOSE_WAY, ways) == 1
    return _prove_by_message(here) if by_message else _prove_typed(here)


def _prove_typed(here: Caller) -> Enrolled:
    tell(f"{wording.YOUR_NUMBER} Example: {wording.A_NUMBER}", err=True)
    while True:
        typed = reply("Phone number: ")
        pending = here.run(enrolment.begin_sms, typed)
        if isinstance(pending, Denied) and fold_phone(typed) is None:
            tell(pending.message, err=True)
            continue
        return _prove_by_code(here, confirmed(pending))


def _prove_by_code(here: Caller, pending: PendingDestination) -> Enrolled:
    """Send a code and ask for it."""
    if pending.shared:
        tell(wording.SHARED_NUMBER)
    _send(here, pending)
    return confirm_code(
        f"{wording.enter_sent_code(pending)} Type {_NEW} for a new one.",
        lambda code: here.run(enrolment.confirm_sent, pending, code),
        lambda _: wording.WRONG_SENT_CODE,
        {_NEW: lambda: _send(here, pending)},
    )


def _send(here: Caller, pending: PendingDestination) -> None:
    async def sent() -> CodeSent | NotSent | RefusedOrStale:
        send = enrolment.send_enrolment_code
        return await sent_codes.send(here.store, here.carriers, send, here.actor, pending)

    match here.wait(sent):
        case CodeSent() as result:
            tell(result.message, err=True)
        case NotSent(reason):
            tell(reason, err=True)
        case refused:
            confirmed(refused)


def _prove_by_message(here: Caller) -> Enrolled:
    """Show what to send where, and wait for it whenever that is said to be done."""
    while True:
        pending = confirmed(here.run(inbound_sms.begin_message))
        try:
            if _arrived(here, pending):
                return confirmed(here.run(inbound_sms.confirm_message, pending))
        except (click.Abort, KeyboardInterrupt):
            streams().interruption.clear()
            here.run(inbound_sms.stop_awaiting, pending)
            raise


def _arrived(here: Caller, pending: PendingMessage) -> bool:
    """Wait for the message; False if another code is wanted."""
    tell(wording.SEND_THIS_CODE)
    echo(f"Code  {inbound_sms_codes.grouped(pending.code)}\nTo    {phone_to_read(pending.number)}")
    tell(wording.SENDER_IS_ADDED)
    while True:
        tell(f"Press Enter once you have sent it, or type {_NEW} for a new code.", err=True)
        if reply("> ").strip().lower() == _NEW:
            return False
        found = _look(here, pending)
        if found is Sighting.ARRIVED:
            return True
        said = wording.sighting(found, f"Type {_NEW} for a new one.")
        tell(said or "No message with this code has arrived yet.", err=True)


def _look(here: Caller, pending: PendingMessage) -> Sighting:
    """Look for the message for a while: it takes some seconds."""
    found = Sighting.NOTHING
    for look in range(LOOKS):
        if look:
            here.wait(asyncio.sleep, LOOK_SECONDS)
        found = confirmed(here.run(inbound_sms.look_for_message, pending))
        if found is not Sighting.NOTHING:
            break
    return found
