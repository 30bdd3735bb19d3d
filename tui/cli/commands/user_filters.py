"""The options that choose users by what they are, for every command that lists or exports users."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from data.operations.users import practices
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Method, Role, Status
from data.rules.recovery_codes import FEW_LEFT
from tui.cli.caller import Caller
from tui.cli.moment_options import moment_of
from tui.cli.open_installation import confirmed
from tui.cli.streams import echo

F = TypeVar("F", bound=Callable[..., object])


class _StatusChoice(click.Choice[str]):
    """A status, or the beginning of one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the only status that begins with these words, or the one that has this name."""
        found = [name for name in self.choices if name.lower().startswith(str(value).lower())]
        return super().convert(found[0] if len(found) == 1 else value, param, ctx)


_OPTIONS = (
    click.option(
        "--search",
        default="",
        help="Only users whose name, full name, e-mail, phone or practice has words that start with these.",
    ),
    click.option("--practice", help="Only users in this practice."),
    click.option(
        "--status",
        type=_StatusChoice([status.value for status in Status], case_sensitive=False),
        help="Only users with this status; its beginning is enough, such as pending.",
    ),
    click.option(
        "--role", type=click.Choice([role.value for role in Role]), help="Only users with this role."
    ),
    click.option(
        "--method",
        type=click.Choice([method.value for method in Method]),
        help="Only users who have set up this method, even if it is switched off.",
    ),
    click.option("--never-signed-in", is_flag=True, help="Only users who never signed in."),
    click.option(
        "--last-signin-before",
        metavar="DATE|30d",
        help="Only users whose last sign-in was before this date, or longer ago than this. With "
        "--never-signed-in, also those who never signed in.",
    ),
    click.option(
        "--pending-before",
        metavar="DATE|30d",
        help="Only users who have been pending since before this date, or for longer than this.",
    ),
    click.option(
        "--few-recovery-codes", is_flag=True, help=f"Only users with {FEW_LEFT} recovery codes or fewer."
    ),
)


def filter_options(command: F) -> F:
    """Add the options; the command is given them by the names that `query_of` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_of(
    here: Caller,
    *,
    limit: int,
    search: str,
    practice: str | None,
    status: str | None,
    role: str | None,
    method: str | None,
    never_signed_in: bool,
    last_signin_before: str | None,
    pending_before: str | None,
    few_recovery_codes: bool,
) -> UserQuery:
    """Return the query that the options ask for, page by page; a practice is found whatever its case."""
    if practice is not None:
        practice = confirmed(here.read(practices.practice_named, practice))
    now = here.store.services.clock()
    return UserQuery(
        search=search,
        status=Status(status) if status else None,
        limit=limit,
        practice=practice,
        role=Role(role) if role else None,
        method=Method(method) if method else None,
        never_signed_in=never_signed_in,
        signed_in_before=moment_of("--last-signin-before", last_signin_before, now),
        pending_before=moment_of("--pending-before", pending_before, now),
        few_recovery_codes=few_recovery_codes,
    )


def say_incomplete(count: int) -> None:
    """Say on stderr that a search found more users than it returns."""
    echo(f"More than {count} users match. Search for longer or more words.", err=True)
