"""One's own profile."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from data.operations.audit.changes import Change
from data.operations.certificates import issuing, listing
from data.operations.certificates.listing import CertificateRow, OwnCertificates
from data.operations.results import Denied, Done
from data.operations.signin import enrolment, recovery_codes, remembered_addresses, sessions
from data.operations.targets import registry
from data.operations.targets.registry import OwnTarget, OwnTargets
from data.operations.users import credentials, lifecycle, user_summaries
from data.operations.users.user_summaries import Profile, UserDetail
from data.rules.domain_types import Method, Mode, ThemeChoice
from data.rules.passwords import MAX_LENGTH
from data.rules.permissions import OwnAct
from data.rules.public_keys import KEY_LIMIT
from data.wording import certificates as wording
from data.wording import consequences
from data.wording.principals import principal_lines
from data.wording.targets import way_to
from data.wording.user_lines import (
    address_lines,
    attempts_line,
    factor_lines,
    key_lines,
    session_lines,
    session_words,
)
from data.wording.words import HOW_IT_WORKS, days_left, mode_words, moment, roles_in_words
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog, CopyDialog
from tui.keys import Act
from tui.screens.base_screen import MainScreen, working
from tui.screens.enrolment import enrol
from tui.screens.recovery_codes import RecoveryCodesScreen
from tui.screens.user_forms import add_key, ask_certificates, choose_address, edit_user, remove_key
from tui.widgets.action_bar import ActionBar, Offer
from tui.widgets.description_list import (
    DescriptionList,
    Fact,
    activity_lines,
)
from tui.widgets.status_line import Tone
from tui.widgets.status_marks import marked


class ProfileScreen(MainScreen):
    """What users see and change about themselves."""

    TAB = "profile"
    TOPIC = "signing-in"
    BINDINGS: ClassVar[list[BindingType]] = [
        Act.SET_UP.binding(),
        Act.SET_UP.binding("replace_phone", "Replace the phone"),
        Act.SET_UP.binding("change_methods", "Methods", tooltip="Add or replace a method"),
        Act.RECOVERY_CODES.binding(tooltip="New recovery codes"),
        Act.PASSWORD.binding(tooltip="Change the password"),
        Act.EDIT.binding(tooltip="Edit name, address and phone number"),
        Act.ADD_KEY.binding(),
        Act.REMOVE.binding("remove_key", "Remove SSH key"),
        Act.END_SESSION.binding("end_sessions", "End sessions", tooltip="End your other sessions"),
        Act.CERTIFICATES.binding(tooltip="Get or withdraw certificates"),
        Act.FORGET.binding(tooltip="Forget remembered addresses"),
        Act.DISABLE.binding("turn_off", "Turn off 2FA"),
        Act.THEME.binding(tooltip="Choose the colours"),
    ]

    def body(self) -> Iterator[Widget]:
        """Yield the facts and the actions."""
        scroll = VerticalScroll(id="detail")
        scroll.compose_add_child(ActionBar())
        scroll.compose_add_child(DescriptionList())
        yield scroll

    profile: Profile | None = None
    certificates: OwnCertificates | None = None

    def offers(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what users may do to their own things now; an action is called as its act."""
        if action == "certificates":
            return None if self.certificates is None else self.certificates.are_shown
        if action not in _NAMES:
            return super().offers(action, parameters)
        if self.profile is None:
            return None if action not in _SETTING_UP[1:] else False
        act = OwnAct.SET_UP if action in _SETTING_UP else OwnAct(action)
        return act in self.profile.acts and (act is not OwnAct.SET_UP or action == _setting_up(self.profile))

    async def read(self) -> None:
        """Read the profile."""
        profile = await self.app.read(user_summaries.my_profile)
        if profile is None:
            return
        self.profile = profile
        self.certificates = await self.app.read(listing.own_certificates)
        self.query_one(ActionBar).offer([offer for offer in _OFFERS if self.offers(offer.action, ())])
        mine = await self.app.read(registry.my_targets)
        self.query_one(DescriptionList).facts = _facts(
            profile, mine, self.certificates, self.app.theme_choice
        )

    def concerns(self, change: Change) -> bool:
        """Return whether a change can show in one's own profile."""
        if not super().concerns(change):
            return False
        return change.is_about(self.app.heading.person) or change.event.startswith("target.")

    @working
    async def action_set_up(self) -> None:
        """Set up two-factor authentication, or replace the phone."""
        result = await enrol(self.app)
        if isinstance(result, Denied):
            self.app.report(result)

    action_replace_phone = action_change_methods = action_set_up

    @working
    async def action_turn_off(self) -> None:
        """Turn off two-factor authentication, if that is allowed."""
        profile = await self._may(OwnAct.TURN_OFF)
        if profile is None:
            return
        question = consequences.turn_off(len(profile.detail.certificates))
        if await self.app.push_screen_wait(ConfirmDialog(question)):
            await self.app.act(enrolment.turn_off)

    @working
    async def action_recovery_codes(self) -> None:
        """Create new recovery codes and show them."""
        profile = await self._may(OwnAct.RECOVERY_CODES)
        if profile is None:
            return
        question = consequences.new_recovery_codes(profile.detail.recovery_codes_left)
        if not await self.app.push_screen_wait(ConfirmDialog(question)):
            return
        renewed = await self.app.act(recovery_codes.renew_recovery_codes)
        if renewed is not None:
            await self.app.push_screen_wait(RecoveryCodesScreen(renewed.recovery_codes))

    async def _may(self, act: OwnAct) -> Profile | None:
        """Read the profile for an act, or show why it cannot be done by now."""
        return await self.app.read(user_summaries.my_profile, act)

    @working
    async def action_password(self) -> None:
        """Change the password."""
        mine = await self._mine()
        if mine is None:
            return
        fields = [Field(label, MAX_LENGTH, hidden=True) for label in ("New password", "Repeat password")]
        body = wording.are_withdrawn(len(mine.certificates)).strip()
        await self.app.fill_in(
            lambda _, fault: FormDialog("Change your password", fields, body=body, yes="Change", fault=fault),
            self._change_password,
        )

    async def _change_password(self, typed: tuple[str, ...]) -> Done | Denied:
        if typed[0] != typed[1]:
            return Denied("The passwords do not match.")
        return await self.app.submit(credentials.change_password, typed[0])

    @working
    async def action_edit(self) -> None:
        """Change one's own name, address and phone number."""
        await edit_user(
            self.app,
            self._mine,
            lambda changes, seen: self.app.submit(lifecycle.edit_own, changes, seen=seen),
        )

    async def _mine(self) -> UserDetail | None:
        profile = await self.app.read(user_summaries.my_profile)
        return profile.detail if profile else None

    @working
    async def action_add_key(self) -> None:
        """Add a pasted public key."""
        await add_key(self.app, None)

    @working
    async def action_remove_key(self) -> None:
        """Remove one of the keys."""
        profile = await self._may(OwnAct.REMOVE_KEY)
        if profile is not None:
            await remove_key(self.app, profile.detail.keys, None)

    @working
    async def action_forget(self) -> None:
        """Forget one remembered address, or all of them."""
        profile = await self._may(OwnAct.FORGET)
        if profile is None:
            return
        chosen = await choose_address(self.app, profile.detail.remembered)
        if chosen is not None:
            await self.app.act(remembered_addresses.forget_my_addresses, chosen[0])

    @working
    async def action_certificates(self) -> None:
        """Get a certificate, or withdraw one."""
        own = await self.app.read(listing.own_certificates)
        if own is None:
            return
        if own.refusal and not own.rows:
            self.app.say(own.refusal, Tone.REFUSED)
            return
        choices: list[tuple[str, CertificateRow | bool]] = []
        if not own.refusal:
            mine = [("New one for the key you signed in with", True)] if own.by_key else []
            choices += [*mine, ("New one for another key", False)]
        choices += [(f"Withdraw the one {wording.certificate_words(row)}", row) for row in own.rows]
        chosen = await self.app.push_screen_wait(ChooseDialog("Certificates", choices))
        match chosen:
            case (CertificateRow(serial=serial),):
                question = wording.withdraw_certificate(serial)
                if await self.app.push_screen_wait(ConfirmDialog(question)):
                    await self.app.act(listing.withdraw_certificate, serial)
            case (bool(own_key),):
                await self._new_certificate(own_key=own_key)

    async def _new_certificate(self, *, own_key: bool) -> None:
        """Get a certificate and show it, for the session's key or for one that is pasted."""
        if own_key:
            made = await self.app.act(issuing.issue_certificate, None)
        else:
            field = Field("Public key", KEY_LIMIT, placeholder="ssh-ed25519 AAAA… comment", lines=True)
            body = "Paste the line in the file that ends in .pub."
            made = await self.app.fill_in(
                lambda _, fault: FormDialog("New certificate", [field], body=body, yes="Get", fault=fault),
                lambda typed: self.app.submit(issuing.issue_certificate, typed[0]),
            )
        if made is not None:
            box = CopyDialog("New certificate", wording.how_to_save(made), made.line)
            await self.app.push_screen_wait(box)

    @working
    async def action_theme(self) -> None:
        """Choose the colours of the app."""
        choices = [(theme.label.capitalize(), theme) for theme in ThemeChoice]
        chosen = await self.app.push_screen_wait(ChooseDialog("Theme", choices, self.app.theme_choice))
        if chosen is not None:
            await self.app.choose_theme(chosen[0])

    @working
    async def action_end_sessions(self) -> None:
        """End one of the other sessions, or all others."""
        profile = await self._may(OwnAct.END_SESSIONS)
        if profile is None:
            return
        choices: list[tuple[str, int | None]] = [("All other sessions", None)]
        choices += [(session_words(row), row.id) for row in profile.sessions.rows if not row.mine]
        chosen = await self.app.push_screen_wait(ChooseDialog("End which session?", choices))
        if chosen is None:
            return
        of_each = {row.id: row.certificates for row in profile.sessions.rows}
        count = profile.sessions.certificates if chosen[0] is None else of_each[chosen[0]]
        question = consequences.end_own_sessions(only_one=chosen[0] is not None)
        withdraws = await ask_certificates(self.app, question, count) if count else (False,)
        if withdraws is not None:
            await self.app.act(sessions.end_my_sessions, chosen[0], certificates=withdraws[0])


_SETTING_UP = ("set_up", "replace_phone", "change_methods")
"""What the act of setting up is called, by what is already set up."""
_NAMES = frozenset({*_SETTING_UP, *(act.value for act in OwnAct)})
_OFFERS = (
    Offer(Act.SET_UP, "Set up 2FA", "set_up"),
    Offer(Act.SET_UP, "Replace the phone", "replace_phone"),
    Offer(Act.SET_UP, "Add or replace a method", "change_methods"),
    Offer(Act.DISABLE, "Turn off 2FA", "turn_off"),
    Offer(Act.RECOVERY_CODES, "New recovery codes", "recovery_codes"),
    Offer(Act.PASSWORD, "Change password", "password"),
    Offer(Act.EDIT, "Edit", "edit"),
    Offer(Act.ADD_KEY, "Add SSH key", "add_key"),
    Offer(Act.REMOVE, "Remove SSH key", "remove_key"),
    Offer(Act.CERTIFICATES, "Certificates", "certificates"),
    Offer(Act.THEME, "Theme", "theme"),
    Offer(Act.PLAIN_MODE, "Plain mode", "plain_mode"),
    Offer(Act.FORGET, "Forget addresses", "forget"),
    Offer(Act.END_SESSION, "End sessions", "end_sessions"),
)


def _setting_up(profile: Profile) -> str:
    if profile.detail.enrolled_at is None:
        return "set_up"
    return "replace_phone" if profile.methods == {Method.APP} else "change_methods"


def _facts(
    profile: Profile, mine_to_reach: OwnTargets | None, own: OwnCertificates | None, theme: ThemeChoice
) -> list[Fact]:
    mine = profile.detail
    since = f", since {moment(mine.enrolled_at)}" if mine.enrolled_at else ""
    return [
        ("2FA", marked(mine.status, f"{mine.status.value}{since}")),
        *([("Methods", factor_lines(mine.factors))] if mine.factors else []),
        ("Policy", _policy(profile)),
        *([("Recovery codes", f"{mine.recovery_codes_left} left")] if mine.enrolled_at else []),
        *([("Attempts left", attempts_line(mine))] if mine.attempts_used else []),
        ("You", None),
        ("Name", f"{mine.full_name} ({mine.name})" if mine.full_name else mine.name),
        ("E-mail", mine.email),
        *([("Phone", mine.phone)] if mine.phone else []),
        ("Practice", f"{mine.practice}, {mine.account}"),
        ("Roles", roles_in_words(mine.roles)),
        ("Theme", theme.label),
        *([("Plain mode", "on, from your next session")] if profile.plain else []),
        ("SSH keys", key_lines(mine.keys)),
        *([("Principals", principal_lines(mine.principals))] if mine.principals else []),
        *([("Remembered", address_lines(mine.remembered))] if mine.remembered else []),
        ("Last sign-in", moment(mine.last_signin_at)),
        *([("Certificates", None), ("", wording.own_lines(own))] if own and own.are_shown else []),
        *_targets(mine_to_reach),
        ("How it works", None),
        ("", "\n".join(HOW_IT_WORKS)),
        ("Sessions", None),
        ("", session_lines(profile.sessions)),
        ("Activity", None),
        ("", activity_lines(mine.recent)),
    ]


def _targets(targets: OwnTargets | None) -> list[Fact]:
    """Return the hosts that one may reach, each with the command line that does."""
    if targets is None or not targets.rows:
        return []
    hindrance: list[Fact] = [("", targets.hindrance)] if targets.hindrance else []
    return [("Targets", None), *hindrance, *((row.name, _way_to(row)) for row in targets.rows)]


def _way_to(target: OwnTarget) -> str | Content:
    words = way_to(target)
    return words if target.reachable else Content.styled(f"! {words}", "$warning")


def _policy(profile: Profile) -> str:
    words, left = mode_words(profile.detail.demand), profile.detail.days_left
    if left is not None:
        return f"{words} {days_left(left)}"
    if profile.detail.mode is Mode.OFF:
        return f"{words} A security administrator can turn it on under Security."
    if not profile.must_use_two_factor:
        return words
    return f"{words} It is required for you."
