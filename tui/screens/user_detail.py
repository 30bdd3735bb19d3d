"""One user."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from data.operations.audit.changes import Change
from data.operations.users.user_summaries import UserDetail
from data.rules.domain_types import Status
from data.rules.permissions import UserAct
from data.wording.certificates import user_lines as user_certificates
from data.wording.principals import principal_lines
from data.wording.user_lines import address_lines, attempts_line, factor_lines, key_lines
from data.wording.words import moment, roles_in_words
from tui.keys import Act
from tui.screens.user_actions import UserActionsScreen, offers_for
from tui.widgets.action_bar import ActionBar, Offer, WhoCan
from tui.widgets.description_list import (
    DescriptionList,
    Fact,
    activity_lines,
)
from tui.widgets.status_marks import marked


class UserDetailScreen(UserActionsScreen):
    """Everything about a user, and the actions on them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.BACK.binding(),
    ]

    def __init__(self, name: str, acts: frozenset[UserAct] | None = None) -> None:
        super().__init__()
        self._about = name
        self._acts = acts

    def acts(self) -> frozenset[UserAct] | None:
        """Return what may be done to the user shown."""
        return self._acts

    def body(self) -> Iterator[Widget]:
        """Yield the facts and the actions."""
        with_focus = VerticalScroll(id="detail")
        with_focus.compose_add_child(ActionBar())
        with_focus.compose_add_child(WhoCan())
        with_focus.compose_add_child(DescriptionList())
        yield with_focus

    def selected_name(self) -> str | None:
        """Return the name of the user shown."""
        return self._about

    async def read(self) -> None:
        """Read the user."""
        user = await self.look_up()
        if user is None:
            return
        self._acts = user.acts
        self.query_one(ActionBar).offer(
            [*offers_for(user), Offer(Act.EXPLAIN, f"Can {user.name} sign in?", "explain")]
        )
        self.query_one(WhoCan).say(user.who_can)
        self.query_one(DescriptionList).facts = _facts(user)

    def concerns(self, change: Change) -> bool:
        """Return whether a change can show in the user's detail."""
        return super().concerns(change) and change.is_about(self._about)

    def action_back(self) -> None:
        """Go back to the table."""
        self.dismiss(None)


def _facts(user: UserDetail) -> list[Fact]:
    off = "Not available: turn on 2FA under 3 Security" if user.status is Status.NOT_AVAILABLE else ""
    return [
        ("Name", user.name),
        ("Full name", user.full_name),
        ("E-mail", user.email),
        *([("Phone", user.phone)] if user.phone else []),
        ("Practice", f"{user.practice}, {user.account}"),
        ("Roles", roles_in_words(user.roles)),
        ("Two-factor authentication", None),
        ("2FA", marked(user.status, off)),
        ("Required", "individually" if user.required else "not individually"),
        ("Methods", factor_lines(user.factors)),
        ("Recovery codes", f"{user.recovery_codes_left} left" if user.enrolled_at else "none"),
        ("Attempts left", attempts_line(user)),
        *([("Resync", f"offered until {moment(user.resync_until)}")] if user.resync_until else []),
        *([("Locked", moment(user.locked_at))] if user.locked_at else []),
        ("Signing in", None),
        ("Password", _password(user)),
        ("SSH keys", key_lines(user.keys)),
        *([("Principals", principal_lines(user.principals))] if user.principals else []),
        *([("Remembered", address_lines(user.remembered))] if user.remembered else []),
        *([("Certificates", user_certificates(user.certificates))] if user.certificates else []),
        ("Last sign-in", moment(user.last_signin_at)),
        ("Created", moment(user.created_at)),
        ("Activity", None),
        ("", activity_lines(user.recent)),
    ]


def _password(user: UserDetail) -> str:
    if not user.has_password:
        return "none"
    until = user.one_time_until
    return f"one-time, expires {moment(until)}" if until else "set"
