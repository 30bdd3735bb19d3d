"""`me enrol` and `me replace-phone`: the enrolment wizard as text, in the order of the app's."""

import click

from data.operations.signin import enrolment
from data.operations.signin.enrolment import Enrolled, PendingApp, WizardChoice
from data.rules.domain_types import Method
from data.rules.policy import MustEnrol
from data.wording import enrolment as wording
from data.wording.words import HOW_IT_WORKS, SET_UP_TITLE
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.confirmation import act, changes
from tui.cli.member.enrol_code import confirm_code
from tui.cli.member.enrol_sent import prove_address, prove_number
from tui.cli.member.own_session import go_on, show_recovery_codes
from tui.cli.member.qr_text import draw
from tui.cli.open_installation import confirmed, refuse
from tui.cli.prompts import choose, tell
from tui.cli.streams import echo, streams

_QR = "qr"
_qr_option = click.option("--qr", "qr", is_flag=True, help="Show the QR code at once.")


@for_members(restricted=(MustEnrol,))
@click.command(
    short_help="Set up two-factor authentication, or another method.",
    epilog=examples(
        "ssh -t gate me enrol",
        "ssh -t gate me enrol --method app --qr",
        "ssh -t gate me enrol --method email",
    ),
)
@click.option(
    "--method",
    type=click.Choice([method.value for method in Method]),
    help="The way to get codes; asked for if there are several.",
)
@_qr_option
@changes
@act
def enrol(here: Caller, method: str | None, qr: bool) -> None:
    """Set up two-factor authentication, or add or replace a method.

    The key for an authenticator app is shown as text; type qr for the QR code. Questions are answered at the
    terminal, or by the lines of standard input.
    """
    choice = confirmed(here.run(enrolment.wizard_choice))
    offered = choice.methods if method is None else (Method(method),)
    if not set(offered) <= set(choice.methods):
        confirmed(enrolment.turned_off(offered[0]))
    tell(SET_UP_TITLE)
    _set_up(here, _method(choice, offered), choice.sms_number, qr=qr)


@click.command(
    "replace-phone",
    short_help="Replace your phone with another one.",
    epilog=examples("ssh -t gate me replace-phone", "ssh -t gate me replace-phone --qr"),
)
@_qr_option
@changes
@act
def replace_phone(here: Caller, qr: bool) -> None:
    """Set up another phone; the present one works until the new one is confirmed.

    After a sign-in with a temporary code, this needs no other code for five minutes.
    """
    choice = confirmed(here.run(enrolment.wizard_choice))
    present = tuple(method for method in choice.methods if method in choice.present and method.is_on_phone)
    if not present:
        refuse(f"No phone is set up. Set one up with: {here.command('me enrol')}")
    tell(SET_UP_TITLE)
    _set_up(here, _method(choice, present), choice.sms_number, qr=qr)


def _method(choice: WizardChoice, offered: tuple[Method, ...]) -> Method:
    """Ask for one of several methods."""
    if len(offered) == 1:
        return offered[0]
    present = dict.fromkeys(choice.present, f" {wording.REPLACES}")
    described = [f"{wording.METHODS[method]}{present.get(method, '')}" for method in offered]
    return offered[choose(wording.how_to_get_codes(choice.because), described)]


def _set_up(here: Caller, method: Method, sms_number: str | None, *, qr: bool) -> None:
    match method:
        case Method.APP:
            enrolled = _prove_app(here, qr=qr)
        case Method.SMS:
            enrolled = prove_number(here, sms_number)
        case Method.EMAIL:
            enrolled = prove_address(here)
    tell(enrolled.message)
    if enrolled.recovery_codes:
        show_recovery_codes(here, enrolled.recovery_codes)
    if enrolled.next_code_in_seconds is not None:
        tell(wording.next_code_in(enrolled.next_code_in_seconds))
    go_on(here)


def _prove_app(here: Caller, *, qr: bool) -> Enrolled:
    """Show a key and ask for the first code."""
    pending = confirmed(here.run(enrolment.begin_app))
    tell(wording.because(pending.because))
    if pending.replaces:
        tell(wording.OLD_PHONE_WORKS)
    tell(wording.YOU_NEED_AN_APP)
    for line in HOW_IT_WORKS:
        tell(f"- {line}", hang=2)
    tell(wording.TYPE_KEY)
    echo(f"\n{pending.manual_key}\n{pending.uri}\n")
    show = _QrCode(pending)
    if qr:
        show()
    return confirm_code(
        f"Enter the six digits that the app shows, or type {_QR} for the QR code.",
        lambda code: here.run(enrolment.confirm_app, pending, code),
        wording.wrong_code,
        {_QR: show},
    )


class _QrCode:
    """Shows a QR code, each time with dark and light exchanged: no one knows the colours of the terminal."""

    def __init__(self, pending: PendingApp) -> None:
        self._uri = pending.uri
        self._dark_on_light = False

    def __call__(self) -> None:
        """Show the code, or say how wide a terminal must be for it."""
        out = streams()
        encoding = getattr(out.stdout, "encoding", None) or "utf-8"
        lines = draw(self._uri, out.columns, encoding, dark_on_light=self._dark_on_light)
        if out.columns is not None and len(lines[0]) > out.columns:
            tell(f"A QR code needs a terminal of {len(lines[0])} columns; this one has {out.columns}.")
            return
        for line in lines:
            echo(line)
        self._dark_on_light = not self._dark_on_light
        tell(f"Does your phone not read it? Type {_QR} again for one with dark and light exchanged.")
