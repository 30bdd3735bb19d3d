"""`twofold sms`: called by a gateway when a text message arrives."""

import os
import sys
from collections.abc import Iterator, Mapping
from io import TextIOWrapper

import click

from data.operations.signin import inbound_sms
from data.rules.inbound_sms_codes import code_in
from data.storage.home import Home
from tui.cli.confirmation import changes
from tui.cli.open_installation import installation, refuse, say

_LONGEST = 10_000
_COUNT_DIGITS = 9
_MOST_PARTS = 255
"""Most parts of a text message: the standard counts them in one byte (3GPP TS 23.040, 9.2.3.24.1)."""


@click.group(
    epilog="\b\nExample:\n  printf '%s\\n%s' +491701234711 '4711 0815 2342' | twofold sms received\n"
)
def sms() -> None:
    """Receive text messages from a gateway."""


@sms.command(
    short_help="Receive a text message that a setup is waiting for.",
    epilog="\b\nExamples:\n"
    "  In gammu-smsdrc, under [smsd], if gammu-smsd runs as the owner of the home:\n"
    "    RunOnReceive = /usr/local/bin/twofold --home /var/lib/twofold sms received\n"
    "  If it runs as another user who may call this through sudo (on one line):\n"
    '    RunOnReceive = printf \'%s\\n%s\' "$SMS_1_NUMBER" "$SMS_1_TEXT" | sudo -n -u twofold\n'
    "      /usr/local/bin/twofold --home /var/lib/twofold sms received\n"
    "  With any other gateway, or by hand:\n"
    "    printf '%s\\n%s' +491701234711 '4711 0815 2342' | twofold sms received\n",
)
@click.argument("identifiers", nargs=-1)
@changes
@click.pass_obj
def received(home: Home, identifiers: tuple[str, ...]) -> None:
    """Receive a text message with the code of a waiting setup.

    The message is read from gammu-smsd's environment variables, or from standard input: the sender's number
    on the first line, then the text. The IDENTIFIERS that gammu-smsd adds are ignored. The exit status is 0
    if a setup was waiting for the message, and 1 if the message was ignored.
    """
    del identifiers
    sender, text = _from_gammu(os.environ) or _from_standard_input()
    if code_in(text) is None:
        refuse(inbound_sms.NOBODY_WAITS)
    with installation(home) as here:
        say(here.store.run_now(inbound_sms.receive_message, sender, text))


def _from_gammu(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Read the sender and text that gammu-smsd put into the environment; None if it did not.

    A long message comes in several parts, decoded together; a short one is not decoded.
    """
    if "SMS_MESSAGES" not in environment:
        return None
    decoded = "".join(_parts(environment, "DECODED_PARTS", "DECODED_{}_TEXT"))
    text = decoded or "".join(_parts(environment, "SMS_MESSAGES", "SMS_{}_TEXT"))
    return environment.get("SMS_1_NUMBER", ""), text[:_LONGEST]


def _parts(environment: Mapping[str, str], counted_by: str, name: str) -> Iterator[str]:
    count = environment.get(counted_by, "")
    there = min(int(count[:_COUNT_DIGITS]), _MOST_PARTS) if count.isascii() and count.isdigit() else 0
    for number in range(1, there + 1):
        yield environment.get(name.format(number), "")


def _from_standard_input() -> tuple[str, str]:
    """Read the sender's number and the text.

    Raises:
        click.UsageError: when there is nothing to read.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise click.UsageError(
            "There is no message. Set SMS_MESSAGES, or pipe the message to standard input."
        )
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    sender, _, text = sys.stdin.read(_LONGEST).partition("\n")
    return sender, text
