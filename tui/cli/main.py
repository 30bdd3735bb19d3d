"""The `twofold` command, and how its errors are shown."""

import codecs
import io
import os
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from tui.cli import logging_setup
from tui.cli.command_groups import LazyGroup, load
from tui.cli.path_arguments import PathType, default_home
from tui.cli.running import outcome

_EXAMPLES = """\b
Examples:
  twofold init --account Clinic --admin anna --email anna@clinic.example
  twofold serve --port 2222
  twofold user add ben --email ben@clinic.example --require-2fa
  twofold policy set --mode required
  twofold                        open the app in this terminal
"""


COMMANDS = {
    "init": ("tui.cli.commands.setup:init", "Create an installation and its first administrator."),
    "hostkey": ("tui.cli.commands.setup:hostkey", "Show the host key's fingerprint and known_hosts line."),
    "upgrade": ("tui.cli.commands.setup:upgrade", "Bring the database's schema up to date."),
    "serve": ("tui.cli.commands.serve:serve", "Serve the app over SSH until stopped."),
    "account": ("tui.cli.commands.account:account", "Manage accounts, which are isolated from each other."),
    "user": ("tui.cli.commands.user:user", "Manage users."),
    "practice": ("tui.cli.commands.practice:practice", "Manage practices, such as sites or departments."),
    "application": (
        "tui.cli.commands.application:application",
        "Manage the applications that ask for codes.",
    ),
    "target": ("tui.cli.commands.target:target", "Manage the hosts that people reach with ssh -J."),
    "cert": ("tui.cli.commands.certificate:cert", "Get certificates for other hosts."),
    "ca": (
        "tui.cli.commands.certificate_authority:ca",
        "Manage the authority that signs certificates.",
    ),
    "policy": ("tui.cli.commands.policy:policy", "Show and change the account's policy."),
    "audit": ("tui.cli.commands.audit:audit", "Read and verify the audit log."),
    "overview": (
        "tui.cli.commands.overview:overview",
        "Show how many people have two-factor authentication.",
    ),
    "report": ("tui.cli.commands.report:report", "Write a report for an auditor."),
    "key": ("tui.cli.commands.master_key:key", "Rotate the master key that seals all secrets."),
    "session": ("tui.cli.commands.session:session", "List and end sessions."),
    "clock": ("tui.cli.commands.clock:clock", "Help users who are locked out by a clock jump."),
    "database": ("tui.cli.commands.database:database", "Move an installation to another database."),
    "delivery": ("tui.cli.commands.delivery:delivery", "Test the delivery of e-mail and text messages."),
    "sms": ("tui.cli.commands.inbound_sms:sms", "Receive text messages from a gateway."),
    "doctor": ("tui.cli.commands.doctor:doctor", "Check the installation and suggest fixes."),
    "backup": ("tui.cli.commands.backup:backup", "Back up everything to a new file, while serving."),
    "restore": ("tui.cli.commands.backup:restore", "Replace everything with a backup."),
    "print-unit": ("tui.cli.commands.print_files:print_unit", "Print a hardened systemd unit."),
    "print-containerfile": (
        "tui.cli.commands.print_files:print_containerfile",
        "Print a Containerfile to start from.",
    ),
    "completion": (
        "tui.cli.commands.help:completion",
        "Print a completion script for bash, zsh or fish.",
    ),
    "help": ("tui.cli.commands.help:help_", "Read the manual, or the help of a command."),
}
"""The place of each command and its line of help, which is shown without importing the command."""


class _ListedGroup(LazyGroup):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's.
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands without importing one, and options as every command does."""
        named = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)


def _from_root(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """Make a path absolute, as messages show it; refuse one that cannot be shown."""
    return path and PathType().convert(path.absolute(), option, context)


@click.group(
    cls=_ListedGroup,
    places={name: place for name, (place, _) in COMMANDS.items()},
    invoke_without_command=True,
    epilog=_EXAMPLES,
    context_settings={"max_content_width": 100},
)
@click.option(
    "--home",
    "path",
    type=PathType(file_okay=False),
    callback=_from_root,
    envvar="TWOFOLD_HOME",
    show_envvar=True,
    default=default_home,
    show_default="the platform's data directory",
    help="The directory that holds the state.",
)
@click.option(
    "--master-key",
    "key_file",
    type=PathType(dir_okay=False),
    callback=_from_root,
    envvar="TWOFOLD_MASTER_KEY",
    show_envvar=True,
    help="The master key file, if it is kept outside the home.",
)
@click.option(
    "--plain", "is_plain", is_flag=True, help="Without a command: a prompt and static text, not the app."
)
@click.version_option(package_name="twofold")
@click.pass_context
def cli(context: click.Context, path: Path, key_file: Path | None, is_plain: bool) -> None:
    """Two-factor authentication that an organisation runs itself, from the terminal.

    Without a command, open the app in this terminal. Commands act as the operator on the host,
    which is anyone who can read the home.
    """
    context.obj = load("data.storage.home:Home")(path, key_file)
    if context.invoked_subcommand is None:
        is_plain = is_plain or _wants_plain()
        place = "tui.cli.local.plain:run_plain_mode" if is_plain else "tui.cli.local.app:run_local_app"
        load(place)(context.obj)
    elif is_plain:
        raise click.UsageError("--plain is for the app, and takes no command.")


def _wants_plain() -> bool:
    """Return whether this is a terminal that asks for the plain mode."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    asks = load("sshserver.terminal.capabilities:wants_plain")(os.environ.get("TERM"), os.environ)
    return bool(asks)


def main() -> None:
    """Run the command line; every error is shown as one line on stderr.

    The exit status is 2 for wrong usage, 1 for a refused or failed operation.
    """
    os.umask(0o077)
    _fill_standard_streams()
    _escape_what_cannot_be_written()
    logging_setup.configure()
    sys.exit(_run())


def _fill_standard_streams() -> None:
    """Open the standard streams that are closed: gateways start their hooks without them.

    Otherwise the next file to be opened, such as the database, would take their place.
    """
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


_ASCII = "twofold_ascii"


def _escape_what_cannot_be_written() -> None:
    r"""Write escapes such as `\xfc` for characters that the terminal's encoding lacks.

    ASCII gets another name: click takes a stream with that encoding for a mistake, and writes UTF-8 to it.
    """
    codecs.register(_look_ascii_up)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if is_ascii else None, errors="backslashreplace")


def _look_ascii_up(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    plain = codecs.lookup("ascii")
    return codecs.CodecInfo(
        plain.encode,
        plain.decode,
        incrementalencoder=plain.incrementalencoder,
        incrementaldecoder=plain.incrementaldecoder,
        name=_ASCII,
    )


def _run() -> int:
    try:
        return outcome(lambda: cli.main(prog_name="twofold", standalone_mode=False))
    except BrokenPipeError:
        sys.stdout = None
        return 1
