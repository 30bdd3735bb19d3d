"""The open sessions."""

from typing import ClassVar

from textual.binding import BindingType

from data.operations.signin import sessions
from data.operations.signin.sessions import SessionPage, SessionRow
from data.rules.source_addresses import source_in_words
from data.wording import consequences
from data.wording.user_lines import jump_lines
from data.wording.words import counted, moment
from tui.dialogs.message_box import TellDialog
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.table_screen import TableScreen
from tui.screens.user_forms import ask_certificates
from tui.widgets.paged_table import Column

PAGE = 50


def _state(row: SessionRow) -> str:
    state = "yours" if row.mine else "signing in" if row.restricted else "signed in"
    return f"{state}, {counted(len(row.jumps), 'jump')}" if row.jumps else state


_COLUMNS: list[Column[SessionRow]] = [
    Column("User", 16, lambda row: row.user, least=8),
    Column("Address", 16, lambda row: row.address, rank=1, least=12),
    Column("Since (UTC)", 16, lambda row: f"{row.started_at:%Y-%m-%d %H:%M}", rank=2),
    Column("Methods", 30, lambda row: row.methods, rank=3, least=12),
    Column("Via", 6, lambda row: row.application, rank=5),
    Column("State", 12, _state, rank=4),
]


class SessionsScreen(TableScreen[SessionRow, int]):
    """Pages of open sessions, newest first."""

    TAB = "sessions"
    TOPIC = "administering-people"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.END_SESSION.binding("end", tooltip="End the session"),
        Act.NEXT_PAGE.binding("page(True)", "Older"),
        Act.PREVIOUS_PAGE.binding("page(False)", "Newer"),
    ]

    page: SessionPage | None = None

    def __init__(self) -> None:
        super().__init__(_COLUMNS, lambda row: str(row.id))

    async def read(self) -> None:
        """Read the current page."""
        page = await self.app.read(sessions.list_sessions, before=self.starts[-1], limit=PAGE)
        if page is None:
            return
        parts = [f"{counted(page.total, 'session')} open", "newest first"]
        if len(self.starts) > 1 or page.more:
            parts.append(f"page {len(self.starts)}  ([ ] for more)")
        self.page = page
        following = page.rows[-1].id if page.more and page.rows else None
        self.show(page.rows, " · ".join(parts), following, who_can=page.who_can)

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to end a session that the user may end."""
        if action != "end":
            return super().offers(action, parameters)
        row = self.table.selected
        return None if self.page is None else row is not None and row.id in self.page.endable

    @working
    async def action_open(self) -> None:
        """Show a session in full."""
        row = self.table.selected
        if row is not None:
            await self.app.push_screen_wait(TellDialog(f"Session of {row.user}", _in_full(row)))

    @working
    async def action_end(self) -> None:
        """End the session under the cursor."""
        row = self.table.selected
        if row is None:
            return
        withdraws = await ask_certificates(self.app, consequences.end_session(row), row.certificates)
        if withdraws is not None:
            await self.app.act(sessions.end_session_of, row.id, certificates=withdraws[0])


def _in_full(row: SessionRow) -> str:
    source = source_in_words(row.application, row.address)
    return (
        f"User: {row.user}\nSource: {source}\nSince: {moment(row.started_at)}\n"
        f"Methods: {row.methods}\nState: {_state(row)}\nID: {row.id}\nCertificates: {row.certificates}"
        + "".join(f"\nJump to {line}" for line in jump_lines(row))
    )
