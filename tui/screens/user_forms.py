"""Forms that are the same for one's own profile and for another user."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from data.operations.results import Denied
from data.operations.signin.remembered_addresses import Remembered
from data.operations.users import credentials
from data.operations.users.lifecycle import Edited, UserChanges
from data.operations.users.principals import PrincipalRow
from data.operations.users.user_summaries import KeyRow, UserDetail
from data.rules.principals import LENGTH
from data.rules.public_keys import KEY_LIMIT
from data.rules.user_fields import EMAIL_LIMIT, PHONE_LIMIT, TEXT_LIMIT
from data.wording import consequences
from data.wording import principals as wording
from data.wording.certificates import STILL_WORKS
from data.wording.words import Question, counted, moment
from tui.dialogs.choose_one import ChooseDialog
from tui.dialogs.form import Field, FormDialog
from tui.dialogs.message_box import ConfirmDialog
from tui.screens.base_app import ActingApp


@dataclass(frozen=True, slots=True)
class PrincipalOperations:
    """The operations on the principals of a user, or of a practice; each takes whose they are by name."""

    preview: Any
    add: Any
    remove: Any


async def add_key(app: ActingApp, name: str | None) -> None:
    """Ask for a public key until it is accepted; `name` is None for one's own."""
    field = Field("Public key", KEY_LIMIT, placeholder="ssh-ed25519 AAAA… comment", lines=True)
    body = "Paste the line in the file that ends in .pub."
    await app.fill_in(
        lambda _, fault: FormDialog("Add an SSH key", [field], body=body, yes="Add", fault=fault),
        lambda typed: app.submit(credentials.add_key, typed[0], name=name),
    )


async def choose_address(app: ActingApp, rows: tuple[Remembered, ...]) -> tuple[int | None] | None:
    """Ask which remembered address to forget; None in the tuple means all of them."""
    choices: list[tuple[str, int | None]] = [("All", None)]
    choices += [(f"{row.address} with {row.first_factor}, until {moment(row.until)}", row.id) for row in rows]
    return await app.push_screen_wait(ChooseDialog("Forget which address?", choices))


async def remove_key(app: ActingApp, keys: tuple[KeyRow, ...], name: str | None) -> None:
    """Ask which key to remove, and for confirmation; `name` is None for one's own."""
    choices = [(f"{key.fingerprint} {key.comment}", key.fingerprint) for key in keys]
    chosen = await app.push_screen_wait(ChooseDialog("Remove which SSH key?", choices))
    if chosen is None:
        return
    preview = await app.read(credentials.preview_key_removal, chosen[0], name=name)
    if preview is None:
        return
    question = consequences.remove_key(chosen[0], name or "you", preview.certificates)
    if await app.push_screen_wait(ConfirmDialog(question)):
        await app.act(credentials.remove_key, chosen[0], name=name)


async def change_principals(
    app: ActingApp,
    whose: str,
    rows: Sequence[PrincipalRow],
    operations: PrincipalOperations,
    *,
    may_give: bool = True,
) -> None:
    """Ask which principal to remove or, if one may be given, for a new one; then for confirmation."""
    given = [row for row in rows if not row.is_name]
    choices: list[tuple[str, str]] = [("Give another one", "")] if may_give else []
    choices += [(f"Remove {row.principal}", row.principal) for row in given]
    if not choices:
        return
    chosen = await app.push_screen_wait(ChooseDialog(f"Principals of {whose}", choices)) if given else ("",)
    if chosen is None:
        return
    if chosen[0]:
        preview = await app.read(operations.preview, whose, chosen[0], removes=True)
        if preview and await app.push_screen_wait(ConfirmDialog(wording.remove(preview))):
            await app.act(operations.remove, whose, chosen[0])
        return
    previewed = await app.fill_in(
        lambda typed, fault: FormDialog(
            f"Give {whose} a principal",
            [Field("Principal", LENGTH, typed[0] if typed else "")],
            body=wording.WHAT,
            yes="Continue",
            fault=fault,
        ),
        lambda typed: app.submit(operations.preview, whose, typed[0]),
    )
    if previewed and await app.push_screen_wait(ConfirmDialog(wording.give(previewed))):
        await app.act(operations.add, whose, previewed.principal)


async def ask_certificates(app: ActingApp, question: Question, count: int) -> tuple[bool] | None:
    """Ask before sessions are ended, and if certificates were obtained there, whether to withdraw them.

    Returns in a tuple whether to withdraw them; None if it was cancelled.
    """
    if not count:
        return (False,) if await app.push_screen_wait(ConfirmDialog(question)) else None
    also = f"{question.yes} and withdraw {counted(count, 'certificate')}"
    choices = [(question.yes, False), (also, True)]
    return await app.push_screen_wait(
        ChooseDialog(question.title, choices, body=f"{question.body} {STILL_WORKS}")
    )


async def edit_user(
    app: ActingApp,
    look_up: Callable[[], Awaitable[UserDetail | None]],
    save: Callable[[UserChanges, UserChanges], Awaitable[Edited | Denied]],
    *,
    contact: bool = True,
) -> Edited | None:
    """Ask for the fields of a user until they are saved or the form is cancelled.

    Without `contact` only the full name can be changed.
    `save` gets the changes and the values that were shown. After a refusal the form keeps the fields
    that were changed and shows the current values of the others.
    """
    changes: list[str | None] = [None, None, None]
    fault = ""
    while (user := await look_up()) is not None:
        shown = (user.email, user.full_name, user.phone or "")
        typed = [old if new is None else new for new, old in zip(changes, shown, strict=True)]
        fields = [
            Field("E-mail", EMAIL_LIMIT, typed[0]),
            Field("Full name", TEXT_LIMIT, typed[1]),
            Field("Phone", PHONE_LIMIT, typed[2], "optional: +49 30 1234567"),
        ]
        asked = fields if contact else fields[1:2]
        answer = await app.push_screen_wait(FormDialog(f"Edit {user.name}", asked, yes="Save", fault=fault))
        if answer is None:
            break
        if not contact:
            answer = (shown[0], *answer, shown[2])
        changes = [new if new != old else None for new, old in zip(answer, shown, strict=True)]
        result = await save(UserChanges(*changes), UserChanges(*shown))
        if not isinstance(result, Denied):
            app.report(result)
            return result
        fault = result.message
    return None
