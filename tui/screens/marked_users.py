"""The actions of administrators on users who are marked in a table, with the keys of those on one user."""

from collections.abc import Callable, Sequence

from textual.reactive import var

from data.operations.users import bulk_actions
from data.operations.users.bulk_actions import Bulk, BulkResult
from data.rules.passwords import ONE_TIME_HOURS
from data.rules.permissions import UserAct
from data.wording import consequences
from data.wording.bulk_results import reasons, summary
from data.wording.words import counted
from tui.dialogs.message_box import ConfirmDialog, ManyShownOnceDialog, TellDialog
from tui.dialogs.progress import ProgressDialog
from tui.keys import Act
from tui.screens.base_screen import working
from tui.screens.user_actions import UserActionsScreen
from tui.widgets.status_line import Tone

_ON_MARKED: dict[str, Bulk | None] = {
    **{act.on_each.value: act for act in Bulk},
    UserAct.STOP_REQUIRING.value: None,
    UserAct.ACTIVATE.value: None,
}
"""What the actions on a user do to marked users; None for those that share their key with another one."""
_IN_SHORT = {
    act: f"{key.shown} {words}"
    for act, key, words in (
        (Bulk.REQUIRE, Act.REQUIRE, "require"),
        (Bulk.CLEAR, Act.CLEAR, "clear"),
        (Bulk.DEACTIVATE, Act.ACTIVATE, "deactivate"),
        (Bulk.UNLOCK, Act.UNLOCK, "unlock"),
        (Bulk.MOVE, Act.MOVE, "move"),
        (Bulk.PASSWORD, Act.PASSWORD, "password"),
        (Bulk.INVITE, Act.INVITE, "invite"),
        (Bulk.REMIND, Act.REMIND, "remind"),
        (Bulk.DISABLE, Act.DISABLE, "disable"),
    )
}
"""What can be done to marked users, in the order of use; a narrow terminal shows the first ones."""


def _on_marked(
    act: Bulk, otherwise: Callable[[UserActionsScreen], None]
) -> "Callable[[MarkedUsersScreen], None]":
    """Return an action that does `act` to the marked users or, if none are marked, `otherwise`."""

    def action(self: "MarkedUsersScreen") -> None:
        if self.marked:
            self.act_on_marked(act)
        else:
            otherwise(self)

    return action


class MarkedUsersScreen(UserActionsScreen):
    """A main screen on which several users can be marked."""

    marked: var[dict[str, None]] = var(dict, init=False)
    """The names of the marked users, in the order of marking; pages and searches keep them."""

    def bulk(self) -> frozenset[Bulk] | None:
        """Return what may be done to marked users, as last read; None before the first read."""
        raise NotImplementedError

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what may be done to the marked users or, if none are marked, to the one under the cursor."""
        possible = self.bulk()
        if self.marked and possible is not None and action in _ON_MARKED:
            return _ON_MARKED[action] in possible
        return super().offers(action, parameters)

    def acts_on_marked(self) -> str:
        """Say how many are marked, and what may be done to them, as far as there is room."""
        words, possible = f"{len(self.marked)} marked", self.bulk() or ()
        for short in (words for act, words in _IN_SHORT.items() if act in possible):
            longer = f"{words}{', ' if ':' in words else ': '}{short}"
            if len(longer) > self.size.width - 4:
                return f"{words} …"
            words = longer
        return words

    action_require = _on_marked(Bulk.REQUIRE, UserActionsScreen.action_require)
    action_disable = _on_marked(Bulk.DISABLE, UserActionsScreen.action_disable)
    action_clear = _on_marked(Bulk.CLEAR, UserActionsScreen.action_clear)
    action_unlock = _on_marked(Bulk.UNLOCK, UserActionsScreen.action_unlock)
    action_one_time_password = _on_marked(Bulk.PASSWORD, UserActionsScreen.action_one_time_password)
    action_move = _on_marked(Bulk.MOVE, UserActionsScreen.action_move)
    action_deactivate = _on_marked(Bulk.DEACTIVATE, UserActionsScreen.action_deactivate)
    action_invite = _on_marked(Bulk.INVITE, UserActionsScreen.action_invite)
    action_remind = _on_marked(Bulk.REMIND, UserActionsScreen.action_remind)

    @working
    async def act_on_marked(self, act: Bulk) -> None:
        """Ask once, act in parts, and show who was refused; those and all who are left stay marked."""
        names = list(self.marked)
        detail = await self._confirmed(names, act)
        if detail is None:
            return
        result = await self._carry_out(names, act, detail)
        if result is None:
            return
        self.marked = dict.fromkeys([*(name for name, _ in result.refused), *result.left])
        done = summary(result, act)
        if result.passwords:
            await self._show_passwords(result)
        if self.marked:
            stay = " and ".join(
                [*(["refused"] if result.refused else []), *(["left"] if result.left else [])]
            )
            self.app.say(f"{done}. Users who were {stay} stay marked.", Tone.REFUSED)
            await self.app.push_screen_wait(TellDialog(done, reasons(result)))
        else:
            self.app.say(f"{done}.", Tone.DONE)

    async def _confirmed(self, names: Sequence[str], act: Bulk) -> str | None:
        """Ask for what the act needs and for confirmation; return the reason or the practice, or None."""
        if act is Bulk.UNLOCK:
            question = consequences.act_on_many(names, act)
            return await self.ask_reason(question.title, question.body, question.yes)
        practice = ""
        if act is Bulk.MOVE:
            chosen = await self.choose_practice(f"Move {counted(len(names), 'user')} to which practice?")
            if chosen is None:
                return None
            practice = chosen
        preview = await self.app.read(bulk_actions.preview_act, names, act, practice)
        if preview is None:
            return None
        question = consequences.act_on_many(names, act, practice, preview.certificates)
        return practice if await self.app.push_screen_wait(ConfirmDialog(question)) else None

    async def _carry_out(self, names: Sequence[str], act: Bulk, detail: str) -> BulkResult | None:
        """Act, and show how far it is if that takes several parts."""
        progress = ProgressDialog(consequences.act_on_many(names, act, detail).title.rstrip("?"), len(names))
        if len(names) > bulk_actions.size_of_part(act):
            await self.app.push_screen(progress)
        try:
            return await self.app.act(
                bulk_actions.carry_out,
                names,
                act,
                progress.told,
                detail=detail,
                goes_on=lambda: progress.goes_on,
            )
        finally:
            # Nobody would see the passwords that later parts set.
            progress.goes_on = progress.goes_on and act is not Bulk.PASSWORD
            if progress.is_current:
                progress.dismiss()

    async def _show_passwords(self, result: BulkResult) -> None:
        """Show the one-time passwords once, a line for each user."""
        width = max(len(name) for name, _ in result.passwords)
        lines = "\n".join(f"{name:<{width}}  {password}" for name, password in result.passwords)
        title = f"One-time passwords for {counted(len(result.passwords), 'user')}"
        body = f"Each works for one sign-in within {ONE_TIME_HOURS} hours."
        await self.app.push_screen_wait(ManyShownOnceDialog(title, body, lines))
