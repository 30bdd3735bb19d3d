"""`twofold delivery`: testing whether messages can be sent."""

import asyncio

import click

from data.delivery.trial_messages import send_test
from data.rules.domain_types import Method
from data.rules.safe_text import safe
from data.storage.home import Home
from tui.cli.command_groups import InAccount
from tui.cli.confirmation import changes
from tui.cli.open_installation import confirmed, installation, refuse
from tui.cli.streams import echo


@click.group(
    cls=InAccount,
    epilog="\b\nExamples:\n"
    "  twofold delivery test --email anna@clinic.example\n"
    '  twofold delivery test --sms "+49 30 1234567"\n',
)
def delivery() -> None:
    """Test the delivery of e-mail and text messages."""


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
@click.pass_obj
def test(home: Home, email: str | None, sms: str | None) -> None:
    """Send a test message and show the answer of the mail server or SMS program."""
    if (email is None) == (sms is None):
        raise click.UsageError("Give either --email ADDRESS or --sms NUMBER.")
    method = Method.EMAIL if email is not None else Method.SMS
    with installation(home) as here:
        work = send_test(here.store, here.actor, here.settings.carriers, method, email or sms or "")
        trial = confirmed(asyncio.run(work))
    if not trial.taken:
        refuse(f"Not sent. {trial.sentence}")
    echo(safe(f"Sent. {trial.sentence}", 1_000))
