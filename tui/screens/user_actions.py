"""The actions of administrators on one user, with the same keys in the table and on the detail page."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from textual.binding import BindingType

from data.operations.results import Denied
from data.operations.users import (
    bulk_actions,
    credentials,
    factor_administration,
    invitations,
    lifecycle,
    practices,
    principals,
    role_grants,
    temporary_codes,
    user_summaries,
)
from data.operations.users.bulk_actions import Bulk
from data.operations.users.user_summaries import UserDetail
from data.rules.permissions import UserAct
from data.rules.user_fields import TEXT_LIMIT
from data.wording import consequences
from data.wording.words import Question
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog, ShownOnceDialog
from tui.dialogs.roles import RolesDialog
from tui.keys import Act
from tui.screens.base_screen import MainScreen, working
from tui.screens.signin_explanation import ExplanationScreen
from tui.screens.user_forms import (
    PrincipalOperations,
    add_key,
    change_principals,
    choose_address,
    edit_user,
    remove_key,
)
from tui.widgets.action_bar import Offer
from tui.widgets.status_line import Tone

_PRINCIPALS = PrincipalOperations(
    principals.preview_principal, principals.add_principal, principals.remove_principal
)
_NAMES = frozenset(act.value for act in UserAct)


class UserActionsScreen(MainScreen):
    """A main screen on which a user is selected."""

    TAB = "users"
    TOPIC = "administering-people"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.REQUIRE.binding(tooltip="Require 2FA"),
        Act.REQUIRE.binding("stop_requiring", "Stop requiring", tooltip="Stop requiring 2FA"),
        Act.CLEAR.binding(tooltip="Clear 2FA data, for a new phone"),
        Act.UNLOCK.binding(),
        Act.EDIT.binding(),
        Act.PASSWORD.binding("one_time_password", "One-time password"),
        Act.EXPLAIN.binding(tooltip="Can they sign in, and why"),
        Act.INVITE.binding(tooltip="Invite by e-mail"),
        Act.REMIND.binding(tooltip="Remind by e-mail to set up 2FA"),
        Act.ACTIVATE.binding("deactivate", "Deactivate"),
        Act.ACTIVATE.binding(),
        Act.DISABLE.binding(tooltip="Disable 2FA"),
        Act.MOVE.binding(tooltip="Move to a practice"),
        Act.ROLES.binding(),
        Act.PRINCIPALS.binding(tooltip="Principals of certificates"),
        Act.ADD_KEY.binding(),
        Act.REMOVE.binding("remove_key", "Remove SSH key"),
        Act.RECOVERY_CODES.binding(
            "temporary_code", "Temporary code", "A code for one sign-in without the phone"
        ),
        Act.RESYNC.binding(tooltip="Offer a resync, for a phone with a wrong clock"),
        Act.FORGET.binding(tooltip="Forget remembered addresses"),
    ]

    def selected_name(self) -> str | None:
        """Return the name of the user to act on."""
        raise NotImplementedError

    def acts(self) -> frozenset[UserAct] | None:
        """Return what may be done to the selected user, as last read; None before the first read."""
        raise NotImplementedError

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the acts that the actor may do to the selected user; an action is called as its act."""
        if action not in _NAMES:
            return super().offers(action, parameters)
        acts = self.acts()
        return None if acts is None else UserAct(action) in acts

    async def look_up(self, act: UserAct | None = None, name: str | None = None) -> UserDetail | None:
        """Read a user, by default the selected one; for an `act`, or show why it cannot be done by now."""
        name = name or self.selected_name()
        return await self.app.read(user_summaries.user_detail, name, act) if name else None

    async def act_if_confirmed(
        self,
        act: UserAct,
        question: Callable[[UserDetail], Question],
        perform: Callable[[UserDetail], Awaitable[object]],
        name: str | None = None,
    ) -> None:
        """Read a user, by default the selected one, for an act, ask for confirmation and perform it."""
        user = await self.look_up(act, name)
        if user is None:
            return
        if await self.app.push_screen_wait(ConfirmDialog(question(user))):
            await perform(user)

    async def ask_reason(self, title: str, body: str, yes: str) -> str | None:
        """Ask for the reason of an unlock until there is one; None if that is cancelled."""
        return await self.app.fill_in(
            lambda _, fault: FormDialog(
                title, [Field("Reason", TEXT_LIMIT)], body=body, yes=yes, fault=fault
            ),
            _reason,
        )

    async def choose_practice(self, title: str, present: str | None = None) -> str | None:
        """Ask for another practice than the present one; None if there is none, or if that is cancelled."""
        names = await self.app.read(practices.practice_names)
        if names is None:
            return None
        if len(names) == 1:
            self.app.say(f"{names[0]} is the only practice. Add another one under 5 Practices.")
            return None
        chosen = await self.app.push_screen_wait(
            ChooseDialog(title, [(name, name) for name in names if name != present])
        )
        return chosen[0] if chosen is not None else None

    @working
    async def action_require(self) -> None:
        """Require two-factor authentication."""
        await self.act_if_confirmed(
            UserAct.REQUIRE,
            consequences.require,
            lambda user: self.app.act(factor_administration.set_required, user.name, required=True),
        )

    @working
    async def action_stop_requiring(self) -> None:
        """Leave it to the policy whether two-factor authentication is required."""
        await self.act_if_confirmed(
            UserAct.STOP_REQUIRING,
            consequences.require,
            lambda user: self.app.act(factor_administration.set_required, user.name, required=False),
        )

    @working
    async def action_disable(self) -> None:
        """Remove the requirement, all factors and all codes."""
        await self.act_if_confirmed(
            UserAct.DISABLE,
            consequences.disable,
            lambda user: self.app.act(factor_administration.disable_two_factor, user.name),
        )

    @working
    async def action_clear(self) -> None:
        """Remove factors and codes, but keep the requirement."""
        await self.act_if_confirmed(UserAct.CLEAR, consequences.clear, self._clear)

    @working
    async def action_deactivate(self) -> None:
        """Deactivate."""
        await self.act_if_confirmed(
            UserAct.DEACTIVATE,
            consequences.activate,
            lambda user: self.app.act(lifecycle.set_active, user.name, active=False),
        )

    @working
    async def action_activate(self) -> None:
        """Activate again."""
        await self.act_if_confirmed(
            UserAct.ACTIVATE,
            consequences.activate,
            lambda user: self.app.act(lifecycle.set_active, user.name, active=True),
        )

    @working
    async def action_unlock(self) -> None:
        """Unlock, with a reason for the log."""
        user = await self.look_up(UserAct.UNLOCK)
        if user is None:
            return
        reason = await self.ask_reason(f"Unlock {user.name}?", consequences.unlock(user), "Unlock")
        if reason is not None:
            await self.app.act(factor_administration.unlock, user.name, reason)

    @working
    async def action_one_time_password(self) -> None:
        """Make a one-time password and show it once."""
        await self.act_if_confirmed(
            UserAct.ONE_TIME_PASSWORD, consequences.one_time_password, self._give_one_time_password
        )

    @working
    async def action_temporary_code(self) -> None:
        """Make a temporary code and show it once."""
        await self.act_if_confirmed(
            UserAct.TEMPORARY_CODE, consequences.temporary_code, self._give_temporary_code
        )

    @working
    async def action_invite(self) -> None:
        """Send an invitation by e-mail."""
        await self.act_if_confirmed(
            UserAct.INVITE, consequences.invite, lambda user: self.app.act(invitations.invite, user.name)
        )

    @working
    async def action_remind(self) -> None:
        """Send a reminder by e-mail."""
        name = self.selected_name()
        if name:
            await self.app.act(invitations.remind, name)

    @working
    async def action_edit(self) -> None:
        """Change name, address and phone number."""
        name, acts = self.selected_name(), self.acts()
        if name is None:
            return
        saved = await edit_user(
            self.app,
            partial(self.look_up, UserAct.EDIT, name),
            lambda changes, seen: self.app.submit(lifecycle.edit_user, name, changes, seen=seen),
            contact=acts is None or UserAct.CHANGE_CONTACT in acts,
        )
        if saved is not None and saved.offers_clearing:
            # Another user may be selected by now: a new address can take this one off the page.
            await self.read()
            await self.act_if_confirmed(
                UserAct.CLEAR, lambda user: consequences.clear_too(user, saved.message), self._clear, name
            )

    @working
    async def action_move(self) -> None:
        """Move to another practice."""
        user = await self.look_up(UserAct.MOVE)
        if user is None:
            return
        chosen = await self.choose_practice(f"Move {user.name} to which practice?", user.practice)
        if chosen is not None and await self._move_is_confirmed(user, chosen):
            await self.app.act(practices.move_user, user.name, chosen, seen=user.practice)

    async def _move_is_confirmed(self, user: UserDetail, practice: str) -> bool:
        """Ask before a move that withdraws certificates; the choice of a practice is enough for others."""
        preview = await self.app.read(bulk_actions.preview_act, [user.name], Bulk.MOVE, practice)
        if preview is None or not preview.certificates:
            return preview is not None
        question = consequences.move(user.name, practice, preview.certificates)
        confirmed = await self.app.push_screen_wait(ConfirmDialog(question))
        return bool(confirmed)

    @working
    async def action_roles(self) -> None:
        """Change the roles."""
        user = await self.look_up(UserAct.ROLES)
        if user is None:
            return
        wanted = await self.app.push_screen_wait(RolesDialog(user.name, user.roles, user.grantable))
        if wanted is not None:
            await self.app.act(role_grants.set_roles, user.name, wanted, seen=user.roles)

    @working
    async def action_principals(self) -> None:
        """Give or remove principals."""
        user = await self.look_up(UserAct.PRINCIPALS)
        rows = await self.app.read(principals.list_principals, user.name) if user else None
        if user is not None and rows is not None:
            of_user = [row for row in rows if not row.practice]
            await change_principals(self.app, user.name, of_user, _PRINCIPALS)

    @working
    async def action_add_key(self) -> None:
        """Add a pasted public key."""
        user = await self.look_up(UserAct.ADD_KEY)
        if user is not None:
            await add_key(self.app, user.name)

    @working
    async def action_remove_key(self) -> None:
        """Remove one of the keys."""
        user = await self.look_up(UserAct.REMOVE_KEY)
        if user is not None:
            await remove_key(self.app, user.keys, user.name)

    def action_explain(self) -> None:
        """Explain why the user can or cannot sign in."""
        name = self.selected_name()
        if name is not None:
            self.app.push_screen(ExplanationScreen(name))

    @working
    async def action_resync(self) -> None:
        """Offer to correct for the phone's clock with two consecutive codes."""
        await self.act_if_confirmed(
            UserAct.RESYNC,
            consequences.resync,
            lambda user: self.app.act(factor_administration.offer_resync, user.name),
        )

    @working
    async def action_forget(self) -> None:
        """Forget one remembered address, or all of them."""
        user = await self.look_up(UserAct.FORGET)
        if user is None:
            return
        chosen = await choose_address(self.app, user.remembered)
        if chosen is not None:
            await self.app.act(factor_administration.forget_addresses, user.name, chosen[0])

    async def _clear(self, user: UserDetail) -> None:
        """Remove factors and codes; then offer a one-time password, if the administrator can create one."""
        if not await self.app.act(factor_administration.clear_two_factor, user.name):
            return
        if UserAct.ONE_TIME_PASSWORD in user.acts and user.has_password:
            question = consequences.one_time_password_too(user)
            if await self.app.push_screen_wait(ConfirmDialog(question)):
                await self._give_one_time_password(user)

    async def _give_one_time_password(self, user: UserDetail) -> None:
        """Make a one-time password and show it once."""
        result = await self.app.act(credentials.give_one_time_password, user.name)
        if result is not None:
            title = f"One-time password for {user.name}"
            await self._show_once(title, result.message, result.password)

    async def _give_temporary_code(self, user: UserDetail) -> None:
        """Make a temporary code and show it once."""
        result = await self.app.act(temporary_codes.make_temporary_code, user.name)
        if result is not None:
            await self._show_once(f"Temporary code for {user.name}", result.message, result.code)

    async def _show_once(self, title: str, message: str, secret: str) -> None:
        await self.app.push_screen_wait(ShownOnceDialog(title, message, secret))
        self.app.say(message, Tone.DONE)


async def _reason(typed: tuple[str, ...]) -> str | Denied:
    return typed[0] if typed[0].strip() else Denied("Enter a reason; it is logged.")


def offers_for(user: UserDetail) -> list[Offer]:
    """Return the actions on a user that the actor may do now."""
    return [offer for offer in _OFFERS if UserAct(offer.action) in user.acts]


_OFFERS = (
    Offer(Act.REQUIRE, "Require 2FA", "require"),
    Offer(Act.REQUIRE, "Stop requiring 2FA", "stop_requiring"),
    Offer(Act.DISABLE, "Disable 2FA", "disable"),
    Offer(Act.CLEAR, "Clear 2FA data", "clear"),
    Offer(Act.UNLOCK, "Unlock", "unlock"),
    Offer(Act.PASSWORD, "One-time password", "one_time_password"),
    Offer(Act.RECOVERY_CODES, "Temporary code", "temporary_code"),
    Offer(Act.INVITE, "Invite", "invite"),
    Offer(Act.REMIND, "Remind", "remind"),
    Offer(Act.ACTIVATE, "Deactivate", "deactivate"),
    Offer(Act.ACTIVATE, "Activate", "activate"),
    Offer(Act.EDIT, "Edit", "edit"),
    Offer(Act.MOVE, "Move", "move"),
    Offer(Act.ROLES, "Roles", "roles"),
    Offer(Act.PRINCIPALS, "Principals", "principals"),
    Offer(Act.ADD_KEY, "Add SSH key", "add_key"),
    Offer(Act.REMOVE, "Remove SSH key", "remove_key"),
    Offer(Act.RESYNC, "Offer a resync", "resync"),
    Offer(Act.FORGET, "Forget addresses", "forget"),
)
