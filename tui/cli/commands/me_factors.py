"""`me codes`, `confirm` and `turn-off`: one's own second factor, once it is set up."""

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.signin import admission, enrolment, recovery_codes
from data.operations.signin.first_factor import FirstFactorRejected
from data.operations.users import credentials, user_summaries
from data.rules.permissions import OwnAct
from data.rules.policy import NeedCode
from data.wording import consequences
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.member.code_dialogue import give_proof, sign_in_with_code
from tui.cli.member.own_session import arrive, show_recovery_codes, what_next
from tui.cli.open_installation import confirmed, refuse


@click.command(
    short_help="Make new recovery codes.",
    epilog=examples("ssh -t gate me codes", "echo y | ssh gate me codes --yes > codes.txt"),
)
@asks_first
@act
def codes(here: Caller) -> None:
    """Make five new recovery codes, which replace the old ones, and ask that they are saved."""
    profile = confirmed(here.run(user_summaries.my_profile, OwnAct.RECOVERY_CODES))
    confirm(consequences.new_recovery_codes(profile.detail.recovery_codes_left))
    renewed = confirmed(here.run(recovery_codes.renew_recovery_codes))
    show_recovery_codes(here, renewed.recovery_codes)


@click.command(
    short_help="Turn off your two-factor authentication.",
    epilog=examples("ssh -t gate me turn-off"),
)
@asks_first
@act
def turn_off(here: Caller) -> Done | RefusedOrStale:
    """Turn off your two-factor authentication, if the policy allows it."""
    profile = confirmed(here.run(user_summaries.my_profile, OwnAct.TURN_OFF))
    confirm(consequences.turn_off(len(profile.detail.certificates)))
    return here.run(enrolment.turn_off)


@for_members(restricted=(NeedCode,))
@click.command(
    "confirm",
    short_help="Enter a fresh code, for the changes of the next five minutes.",
    epilog=examples("ssh -t gate me confirm", "pass otp gate | ssh gate me confirm"),
)
@changes
@act
def confirm_it_is_you(here: Caller) -> Done | None:
    """Enter a fresh code, from the terminal or standard input.

    Changes within five minutes ask for no other one. Without a second factor, it is your password. Where a
    sign-in is waiting for a code, this finishes it.
    """
    session = confirmed(here.run(admission.unfinished_session))
    if session is None:
        return give_proof(here, confirmed(here.run(credentials.proof_to_give)).proof)
    if not isinstance(session.step, NeedCode) or session.attempt is None:
        refuse(what_next(here))
    result = sign_in_with_code(here, session.attempt)
    if isinstance(result, FirstFactorRejected):
        refuse("Sign in again.")
    arrive(here, result)
    return None
