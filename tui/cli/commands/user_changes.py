"""The commands of `twofold user` that change something, except import and invitations."""

from pathlib import Path

import click

from data.operations.results import Done, RefusedOrStale
from data.operations.users import (
    credentials,
    deletion,
    factor_administration,
    lifecycle,
    practices,
    role_grants,
    temporary_codes,
    user_summaries,
)
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_summaries import UserDetail
from data.rules import passwords
from data.rules.domain_types import Role
from data.rules.permissions import UserAct
from data.rules.recovery_codes import MAX_TEMPORARY_HOURS, TEMPORARY_HOURS
from data.wording import consequences
from tui.cli.caller import Caller
from tui.cli.command_groups import examples, for_members
from tui.cli.commands.user_bulk import act_on_many, announce_withdrawal, names_argument
from tui.cli.commands.user_key import KEY_FILE, key_text, parsed_key
from tui.cli.confirmation import act, asks_first, changes, confirm
from tui.cli.open_installation import (
    confirmed,
    hours_option,
    read_password_line,
    refuse,
    say,
)
from tui.cli.prompts import reply
from tui.cli.streams import can_ask, echo

_Result = Done | RefusedOrStale


@for_members()
@click.command(
    epilog=examples(
        "twofold user add ben --email ben@clinic.example",
        "twofold user add eve --email eve@clinic.example --role support --key-file eve.pub",
        'twofold user add joe --email joe@clinic.example --practice "Clinic North" --phone "+49 30 1234567"',
    )
)
@click.argument("name")
@click.option("--email", required=True, help="The e-mail address; it must be unique.")
@click.option("--name", "full_name", default="", help="The full name.")
@click.option("--phone", default="", help="The phone number, with + and the country code.")
@click.option("--practice", help="The user's practice.  [default: the account's first]")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="A role of the user; can be repeated.",
)
@click.option("--require-2fa", is_flag=True, help="Require two-factor authentication from the first sign-in.")
@click.option("--password-stdin", is_flag=True, help="Read a one-time password from standard input.")
@hours_option()
@click.option("--key-file", type=KEY_FILE, help="A file with an SSH public key (- for standard input).")
@changes
@act
def add(
    here: Caller,
    name: str,
    email: str,
    full_name: str,
    phone: str,
    practice: str | None,
    roles: tuple[str, ...],
    require_2fa: bool,
    password_stdin: bool,
    hours: int,
    key_file: Path | None,
) -> None:
    """Create a user.

    Without a password or a key, a one-time password is created and printed once. The user must change it at
    first sign-in.
    """
    if password_stdin and str(key_file) == "-":
        raise click.UsageError("Only one of the password and the key can come from standard input.")
    given = read_password_line() if password_stdin else None
    key = parsed_key(key_text(key_file)) if key_file else None
    made = None if given or key else passwords.one_time_from_random(here.store.services.random_bytes(20))
    if given and (fault := passwords.fault(given, about=(name, email, full_name))):
        refuse(fault)
    password = given or made
    new = lifecycle.NewUser(
        name=name,
        email=email,
        full_name=full_name,
        roles=frozenset(Role(role) for role in roles),
        required=require_2fa,
        password_hash=here.compute(here.store.services.hasher.hash, password) if password else None,
        hours=hours,
        key=key,
        phone=phone,
        practice=practice,
    )
    say(here.run(lifecycle.create_user, new))
    if made:
        echo(f"One-time password: {made}")


@for_members()
@click.command(
    epilog=examples(
        "twofold user edit ben --email ben@practice.example", 'twofold user edit ben --phone "+49 30 1234567"'
    )
)
@click.argument("name")
@click.option("--email", help="The new e-mail address.")
@click.option("--name", "full_name", help="The new full name.")
@click.option("--phone", help="The new phone number, with + and the country code; empty for none.")
@changes
@act
def edit(here: Caller, name: str, email: str | None, full_name: str | None, phone: str | None) -> None:
    """Change a user's e-mail address, full name or phone number."""
    changes = lifecycle.UserChanges(email=email, full_name=full_name, phone=phone)
    if not changes.given():
        raise click.UsageError("Nothing to change. Give --email, --name or --phone.")
    saved = confirmed(here.run(lifecycle.edit_user, name, changes))
    say(saved)
    if saved.offers_clearing:
        clear, password = (here.command(f"user {command} {name}") for command in ("clear-2fa", "password"))
        echo(f"{consequences.OTHER_HANDS}: {clear} and then {password}", err=True)


@for_members()
@click.command(epilog=examples('twofold user move ben eve --practice "Clinic North"'))
@names_argument
@click.option("--practice", required=True, help="The new practice.")
@changes
@act
def move(here: Caller, names: tuple[str, ...], practice: str) -> _Result | None:
    """Move users to another practice of the account."""
    if len(names) > 1:
        act_on_many(here, names, Bulk.MOVE, practice)
        return None
    announce_withdrawal(here, names, Bulk.MOVE, practice)
    return here.run(practices.move_user, names[0], practice)


_ROLE = click.Choice([role.value for role in Role])


@for_members()
@click.command(
    epilog=examples(
        "twofold user role ben --grant support", "twofold user role ben --grant security_admin --take support"
    )
)
@click.argument("name")
@click.option("--grant", type=_ROLE, multiple=True, help="A role to grant; can be repeated.")
@click.option("--take", type=_ROLE, multiple=True, help="A role to take away; can be repeated.")
@changes
@act
def role(here: Caller, name: str, grant: tuple[str, ...], take: tuple[str, ...]) -> _Result:
    """Grant and take away roles; the last administrators keep theirs."""
    given, taken = frozenset(map(Role, grant)), frozenset(map(Role, take))
    if not given | taken:
        raise click.UsageError("Nothing to change. Give --grant ROLE or --take ROLE.")
    if both := given & taken:
        raise click.UsageError(f"{', '.join(sorted(both))} cannot be granted and taken away at once.")
    held = _detail(here, name, UserAct.ROLES).roles
    wanted = (held | given) - taken
    return here.run(role_grants.set_roles, name, wanted, seen=held)


@for_members()
@click.command(
    epilog=examples(
        "twofold user require ben", "twofold user require ben eve", "twofold user require ben --no"
    )
)
@names_argument
@click.option(
    "--no", "release", is_flag=True, help="Remove the individual requirement; the policy still applies."
)
@changes
@act
def require(here: Caller, names: tuple[str, ...], release: bool) -> _Result | None:
    """Require users to use two-factor authentication."""
    if len(names) > 1:
        if release:
            raise click.UsageError("--no is for one user.")
        act_on_many(here, names, Bulk.REQUIRE)
        return None
    return here.run(factor_administration.set_required, names[0], required=not release)


@for_members()
@click.command(
    "disable-2fa",
    short_help="Remove a user's 2FA requirement, factors and recovery codes.",
    epilog=examples("twofold user disable-2fa ben", "twofold user disable-2fa ben eve --yes"),
)
@names_argument
@asks_first
@act
def disable_two_factor(here: Caller, names: tuple[str, ...]) -> _Result | None:
    """Remove users' 2FA requirement, all factors and recovery codes."""
    if len(names) > 1:
        act_on_many(here, names, Bulk.DISABLE, asks=True)
        return None
    confirm(consequences.disable(_detail(here, names[0])))
    return here.run(factor_administration.disable_two_factor, names[0])


@for_members()
@click.command(
    "clear-2fa",
    short_help="Remove a user's factors and recovery codes.",
    epilog=examples("twofold user clear-2fa ben", "twofold user clear-2fa ben eve --yes"),
)
@names_argument
@asks_first
@act
def clear_two_factor(here: Caller, names: tuple[str, ...]) -> None:
    """Remove users' factors and recovery codes but keep the 2FA requirement, for a new phone."""
    if len(names) > 1:
        act_on_many(here, names, Bulk.CLEAR, asks=True)
        return
    name = names[0]
    detail = _detail(here, name)
    confirm(consequences.clear(detail))
    say(here.run(factor_administration.clear_two_factor, name))
    if detail.has_password:
        echo(
            "Anyone who knows this user's password could set up 2FA first. To prevent that, set a one-time "
            f"password: {here.command(f'user password {name}')}",
            err=True,
        )


@for_members()
@click.command(epilog=examples('twofold user unlock ben --reason "called, known voice"'))
@names_argument
@click.option("--reason", help="A reason, which is logged; asked for on a terminal if missing.")
@changes
@act
def unlock(here: Caller, names: tuple[str, ...], reason: str | None) -> _Result | None:
    """Let locked users sign in again."""
    if reason is None:
        if not can_ask():
            raise click.UsageError("Enter a reason with --reason; it is logged.")
        reason = reply("Reason (it is logged): ")
    if len(names) > 1:
        act_on_many(here, names, Bulk.UNLOCK, reason)
        return None
    return here.run(factor_administration.unlock, names[0], reason)


@for_members()
@click.command(
    short_help="Let a phone whose clock is wrong resynchronise.",
    epilog=examples("twofold user resync ben"),
)
@click.argument("name")
@changes
@act
def resync(here: Caller, name: str) -> _Result:
    """For one hour, let two consecutive codes resynchronise a phone that is up to ten minutes off."""
    return here.run(factor_administration.offer_resync, name)


@for_members()
@click.command(
    short_help="Forget a user's remembered addresses.",
    epilog=examples("twofold user forget ben", "twofold user forget ben --address 192.0.2.1"),
)
@click.argument("name")
@click.option("--address", help="Forget this address only, with every key and password.")
@changes
@act
def forget(here: Caller, name: str, address: str | None) -> _Result:
    """Forget a user's remembered addresses, so that a code is asked for again."""
    if address is None:
        return here.run(factor_administration.forget_addresses, name)
    found = [row.id for row in _detail(here, name).remembered if row.address == address]
    if not found:
        refuse("That address is not remembered.")
    for row in found[:-1]:
        confirmed(here.run(factor_administration.forget_addresses, name, row))
    return here.run(factor_administration.forget_addresses, name, found[-1])


@for_members()
@click.command(epilog=examples("twofold user deactivate ben", "twofold user deactivate ben eve --yes"))
@names_argument
@asks_first
@act
def deactivate(here: Caller, names: tuple[str, ...]) -> _Result | None:
    """Prevent users from signing in, without deleting anything."""
    if len(names) > 1:
        act_on_many(here, names, Bulk.DEACTIVATE, asks=True)
        return None
    confirm(consequences.deactivate(_detail(here, names[0], UserAct.DEACTIVATE)))
    return here.run(lifecycle.set_active, names[0], active=False)


@for_members()
@click.command(epilog=examples("twofold user delete ben"))
@click.argument("name")
@asks_first
@act
def delete(here: Caller, name: str) -> _Result:
    """Delete a user and all their data; the audit log keeps the name."""
    confirm(consequences.delete(_detail(here, name, UserAct.DELETE)))
    return here.run(deletion.delete_user, name)


@for_members()
@click.command(epilog=examples("twofold user activate ben"))
@click.argument("name")
@changes
@act
def activate(here: Caller, name: str) -> _Result:
    """Let a deactivated user sign in again."""
    return here.run(lifecycle.set_active, name, active=True)


@for_members()
@click.command(short_help="Set a new one-time password.", epilog=examples("twofold user password ben"))
@names_argument
@click.option("--password-stdin", is_flag=True, help="Read the one-time password from standard input.")
@hours_option()
@changes
@act
def password(here: Caller, names: tuple[str, ...], password_stdin: bool, hours: int) -> None:
    """Set new one-time passwords; print each once, unless you gave it."""
    if len(names) > 1:
        if password_stdin or hours != passwords.ONE_TIME_HOURS:
            raise click.UsageError("--password-stdin and --hours are for one user.")
        act_on_many(here, names, Bulk.PASSWORD)
        return
    name = names[0]
    given = read_password_line() if password_stdin else None
    if given and (fault := passwords.fault(given, about=(name,))):
        refuse(fault)
    chosen = given or passwords.one_time_from_random(here.store.services.random_bytes(20))
    announce_withdrawal(here, names, Bulk.PASSWORD)
    hashed = here.compute(here.store.services.hasher.hash, chosen)
    say(here.run(credentials.set_one_time_password, name, hashed, hours))
    if not given:
        echo(f"One-time password: {chosen}")


@for_members()
@click.command(
    "temporary-code",
    short_help="Make a code for one sign-in without the phone.",
    epilog=examples("twofold user temporary-code ben", "twofold user temporary-code ben --hours 2 --yes"),
)
@click.argument("name")
@click.option(
    "--hours",
    type=click.IntRange(1, MAX_TEMPORARY_HOURS),
    default=TEMPORARY_HOURS,
    show_default=True,
    help="Hours for which the code is valid.",
)
@asks_first
@act
def temporary_code(here: Caller, name: str, hours: int) -> None:
    """Make a temporary code for a user whose phone is lost or not at hand; print it once.

    It works once, where a code is asked for. The user's factors stay. A new code voids the earlier one.
    """
    confirm(consequences.temporary_code(_detail(here, name, UserAct.TEMPORARY_CODE), hours))
    made = confirmed(here.run(temporary_codes.make_temporary_code, name, hours))
    echo(made.message)
    echo(f"Temporary code: {made.code}")


def _detail(here: Caller, name: str, act: UserAct | None = None) -> UserDetail:
    """Read a user; for an act, end the command before anything is asked if it cannot be done to them.

    What would change nothing, such as clearing twice, cannot be done by this, but may be repeated by scripts.
    """
    return confirmed(here.read(user_summaries.user_detail, name, act))
