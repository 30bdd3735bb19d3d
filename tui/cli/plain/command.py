"""`plain`: the prompt of the plain mode, for members."""

from dataclasses import replace

import click

from tui.cli.command_groups import examples
from tui.cli.member.caller import MemberCaller
from tui.cli.open_installation import refuse
from tui.cli.plain.prompt import PlainPrompt
from tui.cli.streams import streams


@click.command(
    short_help="Open a prompt for commands, in text that stays where it is.",
    epilog=examples("ssh -t gate plain", "ssh -T gate < commands.txt"),
)
@click.pass_context
def plain(context: click.Context) -> int:
    """Open a prompt that runs the same commands, as static text: for screen readers, phones and slow links.

    What must be done first, such as setting up two-factor authentication, begins by itself. Type help for the
    commands and exit to leave. Ctrl+C stops a command; Ctrl+D leaves.
    """
    here, ask = context.obj, streams().ask
    if not isinstance(here, MemberCaller) or ask is None:
        refuse("The plain mode needs someone to ask. Open it with: ssh -t gate plain")
    if here.leads_on:
        refuse("You are already in the plain mode.")
    root = context.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101 - this command stands in it.
    return PlainPrompt(root, replace(here, program="", leads_on=True), here.session, ask).run()
