"""`twofold delivery`: testing whether messages can be sent."""

import click

from data.delivery.trial_messages import send_test
from data.operations.policy import delivery_tests
from data.rules.domain_types import Method
from data.rules.safe_text import safe
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, for_members
from tui.cli.confirmation import act, changes
from tui.cli.open_installation import confirmed, refuse
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, iso, when


@click.group(
    cls=InAccount,
    epilog="\b\nExamples:\n"
    "  twofold delivery show\n"
    "  twofold delivery test --email anna@clinic.example\n"
    '  twofold delivery test --sms "+49 30 1234567"\n',
)
def delivery() -> None:
    """Test the delivery of e-mail and text messages."""


@for_members()
@delivery.command(epilog="\b\nExamples:\n  twofold delivery show\n  twofold delivery show --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, as_json: bool) -> None:
    """Show by which methods messages can be sent, and the last error of each."""
    states = confirmed(here.run(delivery_tests.show_delivery))
    if as_json:
        echo_json(
            [
                {
                    "method": state.method.value,
                    "failed_at": iso(state.failed_at),
                    "reason": state.reason or None,
                }
                for state in states
            ]
        )
        return
    echo_table(
        ("METHOD", "LAST ERROR", "REASON"),
        [(state.method.value, when(state.failed_at), state.reason or "-") for state in states],
        limit=400,
    )


@for_members()
@delivery.command(
    epilog="\b\nExamples:\n"
    "  twofold delivery test --email anna@clinic.example\n"
    '  twofold delivery test --sms "+49 30 1234567"\n'
)
@click.option("--email", metavar="ADDRESS", help="Send an e-mail to this address.")
@click.option(
    "--sms", metavar="NUMBER", help="Send a text message to this number, with + and the country code."
)
@changes
@act
def test(here: Caller, email: str | None, sms: str | None) -> None:
    """Send a test message and show the answer of the mail server or SMS program."""
    if (email is None) == (sms is None):
        raise click.UsageError("Give either --email ADDRESS or --sms NUMBER.")
    method = Method.EMAIL if email is not None else Method.SMS
    trial = confirmed(here.wait(send_test, here.store, here.actor, here.carriers, method, email or sms or ""))
    if not trial.taken:
        refuse(f"Not sent. {trial.sentence}")
    echo(safe(f"Sent. {trial.sentence}", 1_000))
