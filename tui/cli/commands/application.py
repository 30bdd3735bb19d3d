"""`twofold application`: the applications that ask for codes."""

import click

from data.operations.applications import registry
from data.operations.applications.registry import ApplicationRow, NewSecret, State
from data.operations.results import Done, RefusedOrStale
from data.rules.applications import Asks, NewApplication, Protocol, ReplyAttribute, Told, parse_told
from data.rules.safe_text import safe
from data.wording import applications as wording
from tui.cli.caller import Caller
from tui.cli.command_groups import InAccount, examples, for_members
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.open_installation import confirmed, refuse
from tui.cli.streams import echo
from tui.cli.text_tables import echo_json, echo_table, iso


@click.group(
    short_help="Manage the applications that ask for codes.",
    cls=InAccount,
    epilog=examples(
        "twofold application add portal --http --asks password-then-code",
        "twofold application add vpn --radius --from 10.0.0.5/32 --asks code",
        "twofold application list --json",
    ),
)
def application() -> None:
    """Manage the applications, such as a VPN or a web app, that ask whether users may sign in."""


@for_members()
@application.command(
    epilog=examples(
        "twofold application add portal --http --asks password-then-code",
        'twofold application add vpn --radius --from 10.0.0.5/32 --asks code --practice "Clinic North"',
    )
)
@click.argument("name")
@click.option("--http", is_flag=True, help="It asks over HTTP.")
@click.option("--radius", is_flag=True, help="It asks by RADIUS.")
@click.option(
    "--asks",
    type=click.Choice([asks.value for asks in Asks]),
    required=True,
    help="What it asks: the code, if it checks the password itself; the password, then the code; or both in "
    "one field.",
)
@click.option(
    "--from",
    "networks",
    metavar="NETWORK",
    multiple=True,
    help="An address or network that it asks from; loopback by default.",
)
@click.option(
    "--practice", "practices", metavar="NAME", multiple=True, help="A practice it serves; all by default."
)
@click.option(
    "--accept-without-2fa",
    is_flag=True,
    help="Accept people by their password alone where no code is asked of them.",
)
@click.option(
    "--may-send",
    is_flag=True,
    help="With --asks code: it may have codes sent by text message and e-mail.",
)
@click.option(
    "--lenient",
    is_flag=True,
    help="With --radius: take packets without Message-Authenticator too. Their answers can be forged.",
)
@click.option(
    "--filter-id",
    metavar="WHO=VALUE",
    multiple=True,
    help="With --radius: the Filter-Id told of accepted users. WHO is all, role:ROLE or practice:NAME.",
)
@click.option("--class", "classes", metavar="WHO=VALUE", multiple=True, help="The same for Class.")
@changes
@act
def add(
    here: Caller,
    name: str,
    http: bool,
    radius: bool,
    asks: str,
    networks: tuple[str, ...],
    practices: tuple[str, ...],
    accept_without_2fa: bool,
    may_send: bool,
    lenient: bool,
    filter_id: tuple[str, ...],
    classes: tuple[str, ...],
) -> None:
    """Add an application, and print its token or secret once, as the last word.

    Give --from, --practice, --filter-id and --class once for each network, practice and value.
    """
    if http == radius:
        raise click.UsageError("Say how it asks: --http or --radius.")
    new = NewApplication(
        name,
        Protocol.HTTP if http else Protocol.RADIUS,
        Asks(asks),
        networks,
        practices,
        accept_without_2fa=accept_without_2fa,
        may_send=may_send,
        lenient=lenient,
        told=(
            *_told(ReplyAttribute.FILTER_ID, filter_id, "--filter-id"),
            *_told(ReplyAttribute.CLASS, classes, "--class"),
        ),
    )
    made = confirmed(here.run(registry.add_application, new))
    echo(wording.added(made))
    _show_once(made)


@for_members()
@application.command("list", epilog=examples("twofold application list", "twofold application list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def list_applications(here: Caller, as_json: bool) -> None:
    """List the applications."""
    rows = confirmed(here.run(registry.list_applications)).rows
    if as_json:
        echo_json([_as_json(row) for row in rows])
        return
    echo_table(
        ("APPLICATION", "PROTOCOL", "ASKS", "STATE", "FROM"),
        [
            (row.name, row.protocol.value, row.asks.value, row.state.value, ", ".join(row.networks))
            for row in rows
        ],
    )


@for_members()
@application.command(epilog=examples("twofold application show vpn", "twofold application show vpn --json"))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def show(here: Caller, name: str, as_json: bool) -> None:
    """Show an application, without its token or secret."""
    row = _row(here, name)
    if as_json:
        echo_json(_as_json(row))
        return
    for label, value in wording.facts(row):
        echo(f"{label:12}  {safe(value, 1_000)}")


@for_members()
@application.command(
    short_help="Make a new token or secret.", epilog=examples("twofold application rotate vpn --yes")
)
@click.argument("name")
@asks_first
@act
def rotate(here: Caller, name: str) -> None:
    """Make a new token or secret, and print it once, as the last word. The one before it stops working."""
    confirm(wording.rotate(_row_to_change(here, name)))
    made = confirmed(here.run(registry.rotate_secret, name))
    echo(wording.rotated(made))
    _show_once(made)


@for_members()
@application.command(
    short_help="Stop answering an application.", epilog=examples("twofold application disable vpn --yes")
)
@click.argument("name")
@asks_first
@act
def disable(here: Caller, name: str) -> Done | RefusedOrStale:
    """Stop answering an application; its token or secret and its settings stay."""
    row = _row_to_change(here, name)
    if row.state is not State.DISABLED:
        confirm(wording.disable(row))
    return here.run(registry.disable_application, name)


@for_members()
@application.command(
    short_help="Answer an application again.", epilog=examples("twofold application enable vpn")
)
@click.argument("name")
@changes
@act
def enable(here: Caller, name: str) -> Done | RefusedOrStale:
    """Answer an application again that was disabled, or suspended because it guessed codes."""
    return here.run(registry.enable_application, name)


@for_members()
@application.command(epilog=examples("twofold application remove vpn --yes"))
@click.argument("name")
@asks_first
@act
def remove(here: Caller, name: str) -> Done | RefusedOrStale:
    """Remove an application and its token or secret."""
    confirm(wording.remove(_row_to_change(here, name)))
    return here.run(registry.remove_application, name)


def _row(here: Caller, name: str) -> ApplicationRow:
    return confirmed(here.run(registry.show_application, name))


def _row_to_change(here: Caller, name: str) -> ApplicationRow:
    """Read an application; end the command, before anything is asked, for those who may not change it."""
    view = confirmed(here.run(registry.list_applications))
    if not view.may_manage:
        refuse(view.who_can)
    return _row(here, name)


def _told(attribute: ReplyAttribute, typed: tuple[str, ...], option: str) -> list[Told]:
    told = [parse_told(attribute, each) for each in typed]
    known = [each for each in told if each is not None]
    if len(known) < len(told):
        raise click.BadParameter(
            "Write all=VALUE, role:support=VALUE or practice:NAME=VALUE.", param_hint=option
        )
    return known


def _show_once(made: NewSecret) -> None:
    echo(f"{made.protocol.secret.capitalize()}: {made.secret}")


def _as_json(row: ApplicationRow) -> dict[str, object]:
    return {
        "name": row.name,
        "protocol": row.protocol.value,
        "asks": row.asks.value,
        "state": row.state.value,
        "from": list(row.networks),
        "all_practices": row.all_practices,
        "practices": list(row.practices),
        "accept_without_2fa": row.accept_without_2fa,
        "may_send": row.may_send,
        "lenient": row.lenient,
        "attributes": [
            {
                "attribute": each.attribute.value,
                "value": each.value,
                "role": each.role and each.role.value,
                "practice": each.practice,
            }
            for each in row.told
        ],
        "created_at": iso(row.created_at),
        "rotated_at": iso(row.rotated_at),
        "suspended_at": iso(row.suspended_at),
    }
