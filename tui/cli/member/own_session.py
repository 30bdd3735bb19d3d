"""What a session must do before anything else, and how commands lead out of it."""

from collections.abc import Sequence

import click

from data.operations.results import Denied
from data.operations.signin import admission, enrolment, recovery_codes
from data.operations.signin.admission import Admitted, Session, TurnedAway
from data.operations.signin.recovery_codes import NewRecoveryCodes
from data.operations.users import user_summaries
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, SignedIn
from data.rules.sent_codes import RECOVERY_FIRST
from data.wording import enrolment as wording
from data.wording.consequences import LOST_PHONE
from data.wording.words import days_left
from tui.cli.caller import Caller
from tui.cli.open_installation import confirmed, refuse
from tui.cli.prompts import reply, tell
from tui.cli.streams import echo, streams


def what_next(here: Caller) -> str:
    """Say what a restricted session must do, and by which command; empty for one that is signed in."""
    session = confirmed(here.run(admission.unfinished_session))
    return "" if session is None else _instruction(here, session)


def _instruction(here: Caller, session: Session) -> str:
    match session.step:
        case MustChangePassword():
            words, command = wording.REPLACE_ONE_TIME_PASSWORD, "me password"
        case MustEnrol():
            choice = here.run(enrolment.wizard_choice)
            if isinstance(choice, Denied):
                return choice.message
            words, command = wording.because(confirmed(choice).because), "me enrol"
        case NeedCode(methods):
            words, command = "You must enter a code." if methods else RECOVERY_FIRST, "me confirm"
        case SignedIn():
            return ""
    return f"{words} Type: {here.command(command)}"


def go_on(here: Caller) -> None:
    """Have the rules decide what follows a step that was done, and say it."""
    session = confirmed(here.run(admission.unfinished_session))
    if session is not None:
        _tell_how_far(here, here.finish(here.store.run, admission.advance, session.id))


def arrive(here: Caller, admitted: Admitted | TurnedAway) -> None:
    """Say what follows a code that a restricted session needed.

    Raises:
        click.ClickException: when its user was turned away.
    """
    session = _tell_how_far(here, admitted)
    if isinstance(session.step, SignedIn):
        _tell_first(here, session)


def welcome(here: Caller, session: Session) -> None:
    """Say what whoever has signed in must know: what is still to be done, or what the app says first."""
    _tell_step(here, session)
    if isinstance(session.step, SignedIn):
        _tell_first(here, session)


def _tell_how_far(here: Caller, admitted: Admitted | TurnedAway) -> Session:
    if isinstance(admitted, TurnedAway):
        refuse(admitted.reason)
    if isinstance(admitted.session.step, SignedIn):
        tell("You are signed in.", err=True)
    _tell_step(here, admitted.session)
    return admitted.session


def _tell_step(here: Caller, session: Session) -> None:
    for notice in session.notices:
        tell(notice, err=True)
    if not isinstance(session.step, SignedIn) and not here.leads_on:
        tell(_instruction(here, session), err=True)


def _tell_first(here: Caller, session: Session) -> None:
    """Show new recovery codes if the last ones were not saved, and offer to replace a lost phone."""
    unsaved = here.run(recovery_codes.replace_unsaved_codes)
    if isinstance(unsaved, NewRecoveryCodes):
        tell(wording.REPLACES_UNSAVED_CODES, err=True)
        show_recovery_codes(here, unsaved.recovery_codes)
    tell_days_left(here, session)
    if not here.leads_on and phone_may_be_lost(here, session):
        tell(f"{LOST_PHONE} Type: {here.command('me replace-phone')}", err=True)


def phone_may_be_lost(here: Caller, session: Session) -> bool:
    """Return whether a session began with a temporary code, though its user has a method on a phone."""
    if not session.temporary_code:
        return False
    mine = confirmed(here.run(user_summaries.my_profile)).detail
    return any(factor.method.is_on_phone for factor in mine.factors)


def tell_days_left(here: Caller, session: Session) -> None:
    """Tell whoever has days left to set up two-factor authentication, beside what a command prints."""
    if session.days_left is not None:
        tell(f"{days_left(session.days_left)} Type: {here.command('me enrol')}", err=True)


def show_recovery_codes(here: Caller, codes: Sequence[str]) -> None:
    """Show new recovery codes, and ask that they are saved; if the input ends before, say what happens.

    Standard output gets the codes alone, so that a file of them holds nothing else.
    """
    tell(f"{wording.SAVE_RECOVERY_CODES}\n{wording.KEEP_RECOVERY_CODES}\n", err=True)
    echo("\n".join(codes))
    echo(err=True)
    try:
        while reply("Type y when you have saved them: ").strip().lower() not in ("y", "yes"):
            pass
    except click.Abort:
        streams().interruption.clear()
        tell("You did not confirm that they are saved. Your next sign-in replaces them.", err=True)
        return
    tell(confirmed(here.run(recovery_codes.confirm_saved, codes)).message, err=True)
