"""What administrators do to one user: the same keys on the table and on the detail."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType

from data.operations.results import Denied
from data.operations.signin.remembered_addresses import NOTHING_REMEMBERED, Remembered
from data.operations.users import (
    credentials,
    factor_administration,
    invitations,
    lifecycle,
    practices,
    role_grants,
    user_summaries,
)
from data.operations.users.credentials import OneTimePassword
from data.operations.users.lifecycle import Edited, UserChanges
from data.operations.users.user_summaries import KeyRow, UserDetail
from data.rules.domain_types import Role, Status
from data.rules.public_keys import KEY_LIMIT
from data.rules.user_fields import EMAIL_LIMIT, PHONE_LIMIT, TEXT_LIMIT
from tui.dialogs import consequences
from tui.dialogs.choose import ChooseDialog
from tui.dialogs.confirm import ConfirmDialog
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.question import Question
from tui.dialogs.roles import RolesDialog
from tui.dialogs.tell import ShownOnceDialog
from tui.screens.base_screen import MainScreen, working
from tui.widgets.action_bar import Offer
from tui.widgets.status_line import Tone
from tui.widgets.words import moment


class UserActionsScreen(MainScreen):
    """A main screen on which a user is selected."""

    PLACE = "users"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "require", "Require", tooltip="Require 2FA, or stop requiring it"),
        Binding("d", "disable", "Disable", show=False, tooltip="Disable 2FA"),
        Binding("c", "clear", "Clear", show=False, tooltip="Clear 2FA data, for a new phone"),
        Binding("u", "unlock", "Unlock", show=False),
        Binding("p", "one_time_password", "One-time password", show=False),
        Binding("v", "invite", "Invite", show=False, tooltip="Invite by e-mail, with a one-time password"),
        Binding("t", "remind", "Remind", show=False, tooltip="Remind by e-mail to set 2FA up"),
        Binding("a", "activate", "Activate", show=False, tooltip="Deactivate or activate"),
        Binding("e", "edit", "Edit", show=False),
        Binding("m", "move", "Move", show=False, tooltip="Move to a practice"),
        Binding("o", "roles", "Roles", show=False),
        Binding("k", "add_key", "Add SSH key", show=False),
        Binding("x", "remove_key", "Remove SSH key", show=False),
    ]

    def selected_name(self) -> str | None:
        """Return the name of the user that the actions are about."""
        raise NotImplementedError

    async def look_up(self) -> UserDetail | None:
        """Read the selected user as the database has it now."""
        name = self.selected_name()
        return await self.app.read(user_summaries.user_detail, name) if name else None

    @working
    async def action_require(self) -> None:
        """Require two-factor authentication, or stop requiring it."""
        user = await self.agreed(consequences.require)
        if user is not None:
            await self.app.act(factor_administration.set_required, user.name, required=not user.required)
            await self.read()

    @working
    async def action_disable(self) -> None:
        """Remove flag, factors and codes."""
        user = await self.agreed(consequences.disable)
        if user is not None:
            await self.app.act(factor_administration.disable_two_factor, user.name)
            await self.read()

    @working
    async def action_clear(self) -> None:
        """Remove factors and codes, keep the flag."""
        user = await self.agreed(consequences.clear)
        if user is not None:
            await self._clear(user)
            await self.read()

    @working
    async def action_activate(self) -> None:
        """Deactivate, or activate again."""
        user = await self.agreed(consequences.activate)
        if user is not None:
            await self.app.act(lifecycle.set_active, user.name, active=not user.active)
            await self.read()

    @working
    async def action_unlock(self) -> None:
        """Unlock, with a reason for the log."""
        user = await self.look_up()
        if user is None:
            return
        if user.locked_at is None:
            # The operation says so, or that it is not for this administrator to do.
            await self.app.act(factor_administration.unlock, user.name, "")
            return
        fault = ""
        while True:
            question = FormDialog(
                f"Unlock {user.name}?",
                [Field("Reason", TEXT_LIMIT)],
                body=consequences.unlock(user),
                yes="Unlock",
                fault=fault,
            )
            answer = await self.app.push_screen_wait(question)
            if answer is None:
                return
            if answer[0].strip():
                break
            fault = "Say why: the activity keeps the reason."
        await self.app.act(factor_administration.unlock, user.name, answer[0])
        await self.read()

    @working
    async def action_one_time_password(self) -> None:
        """Make a one-time password and show it once."""
        user = await self.agreed(consequences.one_time_password)
        if user is not None:
            await self.give_one_time_password(user.name)
            await self.read()

    @working
    async def action_invite(self) -> None:
        """Send an invitation by e-mail."""
        user = await self.agreed(consequences.invite)
        if user is not None:
            await self.app.act(invitations.invite, user.name)
            await self.read()

    @working
    async def action_remind(self) -> None:
        """Send a reminder by e-mail."""
        name = self.selected_name()
        if name:
            await self.app.act(invitations.remind, name)

    @working
    async def action_edit(self) -> None:
        """Change name, address and phone number."""
        user = await self.look_up()
        if user is not None:
            name = user.name

            async def save(changes: UserChanges, *, seen: UserChanges) -> Edited | Denied:
                return await self.app.submit(lifecycle.edit_user, name, changes, seen=seen)

            saved = await edit(self, user, self.look_up, save)
            if saved is not None and saved.offers_clearing:
                await self.read()
                await self._offer_clearing(user, saved)
            await self.read()

    @working
    async def action_move(self) -> None:
        """Move to another practice."""
        user = await self.look_up()
        names = await self.app.read(practices.practice_names) if user else None
        if user is None or names is None:
            return
        if len(names) == 1:
            self.app.say(f"{names[0]} is the only practice. Add another one under 5 Practices.")
            return
        chosen = await self.app.push_screen_wait(
            ChooseDialog(
                f"Move {user.name} to which practice?", [(name, name) for name in names], user.practice
            )
        )
        if chosen is not None:
            await self.app.act(practices.move_user, user.name, chosen[0], seen=user.practice)
            await self.read()

    @working
    async def action_roles(self) -> None:
        """Give and take roles."""
        user = await self.look_up()
        if user is None:
            return
        wanted = await self.app.push_screen_wait(RolesDialog(user.name, user.roles))
        if wanted is not None:
            await self.app.act(role_grants.set_roles, user.name, wanted, seen=user.roles)
            await self.read()

    @working
    async def action_add_key(self) -> None:
        """Add a pasted public key."""
        user = await self.look_up()
        if user is not None:
            await add_key(self, user.name)
            await self.read()

    @working
    async def action_remove_key(self) -> None:
        """Remove one of the keys."""
        user = await self.look_up()
        if user is not None:
            await remove_key(self, user.keys, user.name)
            await self.read()

    async def give_one_time_password(self, name: str) -> None:
        """Make a one-time password and show it once."""
        result = await self.app.act(credentials.give_one_time_password, name)
        if isinstance(result, OneTimePassword):
            await self.app.push_screen_wait(
                ShownOnceDialog(f"One-time password of {name}", result.message, result.password)
            )
            self.app.say(result.message, Tone.DONE)

    async def _offer_clearing(self, user: UserDetail, saved: Edited) -> None:
        """Offer to clear what was set up before an address or number was changed."""
        question = consequences.clear_too(user, saved.message)
        if await self.app.push_screen_wait(ConfirmDialog(question)):
            await self._clear(user)

    async def _clear(self, user: UserDetail) -> None:
        """Remove factors and codes, and offer a new password beside it."""
        if await self.app.act(factor_administration.clear_two_factor, user.name):
            await self._offer_one_time_password(user)

    async def _offer_one_time_password(self, user: UserDetail) -> None:
        """Offer a new password beside the clearing, to those who can give one."""
        can_give = Role.SYSTEM_ADMIN in self.app.roles and user.name != self.app.heading.person
        if not can_give or not user.has_password:
            return
        if await self.app.push_screen_wait(ConfirmDialog(consequences.one_time_password_too(user))):
            await self.give_one_time_password(user.name)

    async def agreed(self, ask: Callable[[UserDetail], Question]) -> UserDetail | None:
        """Return the selected user, if the question about them is answered with yes."""
        user = await self.look_up()
        if user is None:
            return None
        return user if await self.app.push_screen_wait(ConfirmDialog(ask(user))) else None


def offers_for(user: UserDetail) -> list[Offer]:
    """Name the actions on a user in the words that fit them now."""
    invites = not user.keys and (not user.has_password or user.one_time_until is not None)
    return [
        Offer("r", "Stop requiring 2FA" if user.required else "Require 2FA", "require"),
        Offer("d", "Disable 2FA", "disable"),
        Offer("c", "Clear 2FA data", "clear"),
        Offer("u", "Unlock", "unlock"),
        Offer("p", "One-time password", "one_time_password"),
        *([Offer("v", "Invite", "invite")] if invites else []),
        *([Offer("t", "Remind", "remind")] if user.status is Status.PENDING else []),
        Offer("a", "Deactivate" if user.active else "Activate", "activate"),
        Offer("e", "Edit", "edit"),
        Offer("m", "Move", "move"),
        Offer("o", "Roles", "roles"),
        Offer("k", "Add SSH key", "add_key"),
        Offer("x", "Remove SSH key", "remove_key"),
    ]


async def add_key(screen: MainScreen, name: str | None) -> None:
    """Ask for a public key until it is taken; `name` is None for one's own."""
    fault = ""
    while True:
        answer = await screen.app.push_screen_wait(
            FormDialog(
                "Add an SSH key",
                [Field("Public key", KEY_LIMIT, placeholder="ssh-ed25519 AAAA… comment", lines=True)],
                body="Paste the one line of the file that ends in .pub.",
                yes="Add",
                fault=fault,
            )
        )
        if answer is None:
            return
        result = await screen.app.submit(credentials.add_key, answer[0], name=name)
        if not isinstance(result, Denied):
            screen.app.settle(result)
            return
        fault = result.message


async def choose_address(screen: MainScreen, rows: tuple[Remembered, ...]) -> tuple[int | None] | None:
    """Ask which remembered address to forget; None in the tuple stands for all of them."""
    if not rows:
        screen.app.settle(Denied(NOTHING_REMEMBERED))
        return None
    choices: list[tuple[str, int | None]] = [("All of them", None)]
    choices += [(f"{row.address} with {row.first_factor}, until {moment(row.until)}", row.id) for row in rows]
    return await screen.app.push_screen_wait(ChooseDialog("Forget which address?", choices))


async def remove_key(screen: MainScreen, keys: tuple[KeyRow, ...], name: str | None) -> None:
    """Ask which key, and whether; `name` is None for one's own."""
    if not keys:
        screen.app.settle(Denied("There is no SSH key to remove."))
        return
    choices = [(f"{key.fingerprint} {key.comment}", key.fingerprint) for key in keys]
    chosen = await screen.app.push_screen_wait(ChooseDialog("Remove which SSH key?", choices))
    if chosen is None:
        return
    question = consequences.remove_key(chosen[0], name or "you")
    if await screen.app.push_screen_wait(ConfirmDialog(question)):
        await screen.app.act(credentials.remove_key, chosen[0], name=name)


async def edit(
    screen: MainScreen,
    user: UserDetail,
    look_up: Callable[[], Awaitable[UserDetail | None]],
    save: "Save",
) -> Edited | None:
    """Ask for the fields of a user until they are saved or the form is left.

    After a refusal the form shows what is true now, but for the fields that were typed in.
    """
    shown = typed = _fields(user)
    fault = ""
    while True:
        fields = [
            Field("E-mail", EMAIL_LIMIT, typed[0]),
            Field("Full name", TEXT_LIMIT, typed[1]),
            Field("Phone", PHONE_LIMIT, typed[2], "+49 30 1234567"),
        ]
        answer = await screen.app.push_screen_wait(
            FormDialog(f"Edit {user.name}", fields, yes="Save", fault=fault)
        )
        if answer is None:
            return None
        changes = [new if new != old else None for new, old in zip(answer, shown, strict=True)]
        seen = UserChanges(user.email, user.full_name, user.phone or "")
        result = await save(UserChanges(*changes), seen=seen)
        if not isinstance(result, Denied):
            screen.app.settle(result)
            return result
        fault = result.message
        present = await look_up()
        if present is None:
            return None
        user, shown = present, _fields(present)
        typed = tuple(old if new is None else new for new, old in zip(changes, shown, strict=True))


class Save(Protocol):
    """Saves what was typed into the form of a user, unless that changed since it was shown."""

    async def __call__(self, changes: UserChanges, *, seen: UserChanges) -> Edited | Denied:
        """Save; a denial says what is wrong."""


def _fields(user: UserDetail) -> tuple[str, ...]:
    return user.email, user.full_name, user.phone or ""
