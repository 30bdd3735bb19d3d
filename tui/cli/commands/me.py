"""`me`: one's own profile, for members."""

from collections.abc import Iterator
from datetime import datetime

import click

from data.operations.signin.sessions import SessionRow
from data.operations.users import user_summaries
from data.operations.users.user_summaries import Profile, UserDetail
from data.rules.domain_types import Status
from data.rules.policy import NOT_AVAILABLE, attempts_in_words
from data.wording.principals import principal_lines
from data.wording.user_lines import address_lines, key_lines, session_lines
from data.wording.words import counted, days_left, roles_in_words
from tui.cli.caller import Caller
from tui.cli.command_groups import LazyGroup, examples
from tui.cli.commands.session import session_json
from tui.cli.commands.user_rendering import detail_json
from tui.cli.confirmation import act
from tui.cli.open_installation import confirmed
from tui.cli.prompts import tell
from tui.cli.text_tables import echo_json

_COMMANDS = {
    "codes": "tui.cli.commands.me_factors:codes",
    "confirm": "tui.cli.commands.me_factors:confirm_it_is_you",
    "edit": "tui.cli.commands.me_changes:edit",
    "enrol": "tui.cli.commands.me_enrol:enrol",
    "forget": "tui.cli.commands.me_changes:forget",
    "key": "tui.cli.commands.me_key:key",
    "password": "tui.cli.commands.me_changes:password",
    "plain-mode": "tui.cli.commands.me_changes:plain_mode",
    "replace-phone": "tui.cli.commands.me_enrol:replace_phone",
    "sessions": "tui.cli.commands.me_sessions:sessions_",
    "targets": "tui.cli.commands.me_targets:targets",
    "theme": "tui.cli.commands.me_changes:theme",
    "turn-off": "tui.cli.commands.me_factors:turn_off",
}


@click.group(
    cls=LazyGroup,
    places=_COMMANDS,
    invoke_without_command=True,
    short_help="Show and change what is yours: 2FA, password, keys, sessions.",
    epilog=examples(
        "ssh gate me",
        "ssh gate me --json",
        "ssh -t gate me enrol",
        "ssh gate me key add - < ~/.ssh/id_ed25519.pub",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@act
def me(here: Caller, as_json: bool) -> None:
    """Show what is yours; the commands change it, as My profile in the app does."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    profile = read_profile(here)
    if as_json:
        echo_json(_as_json(profile))
        return
    for line in _lines(profile, here.store.services.clock()):
        tell(line, hang=4 if line.startswith(" ") else 0)


def read_profile(here: Caller) -> Profile:
    """Read one's own profile."""
    return confirmed(here.read(user_summaries.my_profile))


def own_session_json(row: SessionRow) -> dict[str, object]:
    """Return one of one's own sessions for JSON."""
    return {**session_json(row), "mine": row.mine}


def _as_json(profile: Profile) -> dict[str, object]:
    """Return a profile under the keys of `user show`, with what only its owner sees."""
    listed = [own_session_json(row) for row in profile.sessions.rows]
    return {**detail_json(profile.detail), "plain": profile.plain, "sessions": listed}


def _lines(profile: Profile, now: datetime) -> Iterator[str]:
    mine = profile.detail
    yield two_factor(mine, now)
    yield f"Name: {mine.full_name} ({mine.name})" if mine.full_name else f"Name: {mine.name}"
    yield f"E-mail: {mine.email}"
    if mine.phone:
        yield f"Phone: {mine.phone}"
    yield f"Practice: {mine.practice}, {mine.account}"
    yield f"Roles: {roles_in_words(mine.roles)}"
    if profile.plain:
        yield "Plain mode: on"
    yield from _under("SSH keys", key_lines(mine.keys))
    if mine.principals:
        yield from _under("Principals", principal_lines(mine.principals))
    yield from _under("Remembered addresses", address_lines(mine.remembered))
    yield from _under("Sessions", session_lines(profile.sessions))


def two_factor(mine: UserDetail, now: datetime) -> str:
    """Say how one's two-factor authentication is, as one would be told."""
    match mine.status:
        case Status.NOT_AVAILABLE:
            return NOT_AVAILABLE
        case Status.NO:
            left = "" if mine.days_left is None else f" {days_left(mine.days_left)}"
            return f"2FA is not set up.{left}"
        case Status.PENDING:
            return "2FA is not set up. You must set it up."
    methods = " and ".join(row.method.label for row in mine.factors)
    since = f", since {_date(mine.enrolled_at, now)}" if mine.enrolled_at else ""
    codes = counted(mine.recovery_codes_left, "recovery code")
    return f"2FA is on, by {methods}{since}. {codes} left. {attempts_in_words(mine.attempts_left)}"


def _date(at: datetime, now: datetime) -> str:
    """Return a UTC date as it is said, with its year unless that is the present one."""
    return f"{at.day} {at:%B}" if at.year == now.year else f"{at.day} {at:%B %Y}"


def _under(heading: str, lines: str) -> Iterator[str]:
    """Yield a heading with what stands below it, or beside it if that is nothing."""
    if lines == "none":
        yield f"{heading}: {lines}"
        return
    yield f"{heading}:"
    yield from (f"  {line}" for line in lines.split("\n"))
