"""The overview: who has two-factor authentication, and what needs attention."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import var
from textual.widget import Widget
from textual.widgets import Digits, OptionList, Sparkline, Static
from textual.widgets.option_list import Option

from data.operations.audit.trail import Filter
from data.operations.policy import overview
from data.operations.policy.overview import Attention, Concern, Overview
from data.operations.users.user_search import UserQuery
from data.rules.domain_types import Mode, Status
from data.rules.safe_text import safe
from data.wording import overview as wording
from data.wording.words import counted
from tui.dialogs.message_box import TellDialog
from tui.keys import Act
from tui.screens.base_screen import MainScreen, working
from tui.widgets.adoption import AdoptionTable, legend, stacked
from tui.widgets.section_title import rule

_ROOMY = 30
"""Lines of a terminal from which parts stand apart and sparklines are high."""
_FRAME = 4
"""Lines above and below the parts."""
_FIXED = 5
"""Lines of the parts themselves that are always there: the share, and two rules."""
_LEAST_LINES, _LEAST_GROUPS, _LEAST_SPARK, _MOST_SPARK = 3, 4, 2, 6
_PADDING, _GAP = 1, 2
"""Cells at either side of the screen, and between two parts side by side."""


class Line(NamedTuple):
    """One line of the list: an ID, its mark, its words, and where it leads."""

    id: str
    mark: str
    words: str
    go: Callable[[], None]


class _Lines(OptionList):
    """The lines of what needs attention."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Act.OPEN.binding("select", tooltip="Go to what is behind the line"),
    ]


class OverviewScreen(MainScreen):
    """The account at a glance."""

    TAB = "overview"
    TOPIC = "overview"
    AUTO_FOCUS = "#lines"

    view: var[Overview | None] = var(None, init=False)
    _lines: Sequence[Line] = ()

    def body(self) -> Iterator[Widget]:
        """Yield the parts; their content is read after the first frame."""
        parts = Vertical(id="overview")
        for part in (
            Horizontal(Digits(id="share"), Static(id="headline", markup=False), id="adoption"),
            Horizontal(
                AdoptionTable("Practices", id="practices"), AdoptionTable("Roles", id="roles"), id="groups"
            ),
            Horizontal(
                Vertical(Static(id="successful", markup=False), Sparkline(id="successes")),
                Vertical(Static(id="refused", markup=False), Sparkline(id="refusals")),
                id="signins",
            ),
            Static(id="list-title", markup=False),
            _Lines(id="lines", markup=False, compact=True),
        ):
            parts.compose_add_child(part)
        yield parts

    async def read(self) -> None:
        """Read the overview."""
        view = await self.app.read(overview.show_overview)
        if view is not None:
            self.view = view

    def on_resize(self) -> None:
        """Use the room there is."""
        self.set_class(self.size.height >= _ROOMY, "-roomy")
        self.call_after_refresh(self.watch_view)

    def watch_view(self) -> None:
        """Show everything as the terminal's size allows."""
        if self.view is None:
            return
        self._show_list(self.view)
        self._show_adoption(self.view)
        self._show_groups(self.view)
        self._show_signins(self.view)

    def _show_adoption(self, view: Overview) -> None:
        counts, is_off = view.counts, view.mode is Mode.OFF
        digits = self.query_one("#share", Digits)
        digits.update(f"{counts.percent_enabled}%")
        width = self.size.width - 2 * _PADDING - digits.get_content_width(self.size, self.size) - _GAP
        if is_off:
            first = Content.styled("2FA is off. No one is asked for a code. See 3 Security.", "bold $warning")
            if first.cell_length > width:
                first = Content.styled("2FA is off. See 3 Security.", "bold $warning")
        else:
            people = f"{counts.total:,} {'person' if counts.total == 1 else 'people'}"
            share = f"{counts.enabled:,} of {people} with 2FA"
            left = "" if view.days_left is None else f", {counted(view.days_left, 'day')} left"
            issued = f", {counted(view.certificates, 'certificate')}" if view.certificates else ""
            words = f"  mode {view.mode.value}{left}{issued}"
            first = Content.assemble((share, "bold"), (words, "$text-muted"))
        names = {Status.ENABLED: "Set up"} if is_off else None
        self.query_one("#headline", Static).update(
            Content("\n").join([first, stacked(counts, width), legend(counts, width, names)])
        )

    def _show_groups(self, view: Overview) -> None:
        # Practices without people are told only where not even all others were read.
        count = view.practice_count if len(view.practices) == overview.PRACTICES else len(view.practices)
        wanted = 1 + max(len(view.roles), min(count, len(view.practices) + 1))
        rows = max(_LEAST_GROUPS, min(wanted, self._room - _LEAST_SPARK))
        self.query_one("#practices", AdoptionTable).show(view.practices, rows, count)
        self.query_one("#roles", AdoptionTable).show(view.roles, rows)
        are_shown = view.counts.total > 1
        self.query_one("#groups").display = are_shown
        high = max(_LEAST_SPARK, min(_MOST_SPARK, self._room - (rows if are_shown else 0)))
        for spark in self.query(Sparkline):
            spark.styles.height = high

    @property
    def _room(self) -> int:
        """The lines that are left for the groups and the sparklines."""
        between = 3 if self.size.height >= _ROOMY else 1
        return self.size.height - _FRAME - _FIXED - between - max(_LEAST_LINES, len(self._lines))

    def _show_signins(self, view: Overview) -> None:
        width = self.size.width - 2 * _PADDING
        for title, kind, values in (
            ("Sign-ins, 30 days", ("#successful", "#successes"), [day.successful for day in view.days]),
            ("Refused second factors", ("#refused", "#refusals"), [day.refused for day in view.days]),
        ):
            heading = rule(title, (width - _GAP) // 2, f"{sum(values):,}")
            self.query_one(kind[0], Static).update(heading)
            # The zero in front makes the scale begin at zero.
            self.query_one(kind[1], Sparkline).data = [0, *values]

    def _show_list(self, view: Overview) -> None:
        is_new = view.counts.total <= 1
        lines, steps = [*map(self._line, view.attention)], self._first_steps(view)
        title = "First steps" if is_new and steps else "Needs attention"
        self.query_one("#list-title", Static).update(rule(title, self.size.width - 2 * _PADDING))
        shown = self.query_one("#lines", OptionList)
        before = shown.highlighted_option.id if shown.highlighted_option else None
        self._lines = steps + lines if is_new else lines + steps
        if not self._lines:
            nothing = Content.styled("✓ Nothing needs attention.", "$success")
            shown.set_options([Option(nothing, disabled=True)])
            return
        shown.set_options(
            Option(Content.assemble((line.mark, "bold"), f" {safe(line.words, 400)}"), id=line.id)
            for line in self._lines
        )
        ids = [line.id for line in self._lines]
        shown.highlighted = ids.index(before) if before in ids else 0

    def _first_steps(self, view: Overview) -> list[Line]:
        """Return what to do in an account in which nearly nothing has happened."""
        if view.counts.total <= 1:
            words = "Add people, one at a time or from a list: 2 Users" if view.may_add else ""
        elif view.counts.enabled + view.counts.locked <= 1 and view.mode is not Mode.OFF:
            words = "No one else has set up 2FA yet. See everyone: 2 Users"
        else:
            words = ""
        return [Line("first", "→", words, partial(self.app.open_tab, "users"))] if words else []

    def _line(self, found: Attention) -> Line:
        name = ".".join(str(part) for part in (found.concern.value, found.role, found.event) if part)
        mark = "✗" if found.concern in (Concern.LOCKED, Concern.SUSPENDED_APPLICATION) else "!"
        if found.finding is not None:
            name += f".{found.finding.topic}.{found.finding.sentence}"
        return Line(name, mark, wording.attention(found), partial(self._go, found))

    def _go(self, found: Attention) -> None:
        """Go to the list behind a line."""
        match found.concern:
            case Concern.FAILED_DELIVERIES:
                self.app.open_activity(Filter(event=found.event))
            case Concern.DOCTOR:
                self._tell(found)
            case Concern.SUSPENDED_APPLICATION:
                self.app.open_tab("applications")
            case _:
                self.app.open_users(_query(found, self.view))

    @working
    async def _tell(self, found: Attention) -> None:
        if found.finding is not None:
            words = [found.finding.sentence, *([found.finding.advice] if found.finding.advice else [])]
            await self.app.push_screen_wait(TellDialog("Found by twofold doctor", "\n\n".join(words)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go where the line leads."""
        event.stop()
        # By its ID: the lines may have changed since it was chosen.
        for line in [line for line in self._lines if line.id == event.option_id]:
            line.go()


def _query(found: Attention, view: Overview | None) -> UserQuery:
    """Return what finds the people behind a line."""
    match found.concern:
        case Concern.LOCKED:
            return UserQuery(status=Status.LOCKED)
        case Concern.PENDING_LONG:
            return UserQuery(status=Status.PENDING, pending_before=found.pending_before)
        case Concern.ADMIN_WITHOUT_FACTOR:
            # While the mode is off, no status tells who has a second factor.
            is_off = view is not None and view.mode is Mode.OFF
            return UserQuery(role=found.role, status=None if is_off else Status.PENDING)
        case Concern.FEW_RECOVERY_CODES:
            return UserQuery(few_recovery_codes=True)
        case _:
            return UserQuery(role=found.role)
