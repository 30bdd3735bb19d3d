"""Creating users: one from a form, or many from pasted CSV."""

from data.operations.results import Denied, Done
from data.operations.users import bulk_actions, lifecycle, practices, user_import, user_summaries
from data.operations.users.bulk_actions import Bulk
from data.operations.users.lifecycle import NewUser
from data.operations.users.user_import import Faulty
from data.rules import passwords, public_keys, users_csv
from data.rules.domain_types import Role
from data.rules.users_csv import RowFault
from data.wording import consequences
from data.wording.bulk_results import summary
from tui.dialogs.message_box import ConfirmDialog, ShownOnceDialog
from tui.dialogs.new_user import NewUserDialog, NewUserForm
from tui.dialogs.paste import PasteDialog
from tui.screens.base_app import ActingApp
from tui.widgets.status_line import Tone

_SHOWN = 8
_TITLE = "Import users"
_BODY = (
    "Paste CSV text; a terminal cannot read files on your computer. Columns: "
    f"{', '.join(users_csv.COLUMNS)}. Name and email are required. A whole file can be "
    "sent by command: `ssh gate user import - < people.csv`."
)


async def create_user(app: ActingApp, grantable: frozenset[Role], practice: str | None = None) -> None:
    """Ask for a new user until one is created or the form is cancelled; show the one-time password once.

    `grantable` are the roles that the administrator may grant.
    The form starts with `practice`, or with the practice of the administrator.
    One operation stores the user and the password, so no user is left without one.
    """
    password = passwords.one_time_from_random(app.store.services.random_bytes(20))
    hashed = await app.store.compute(app.store.services.hasher.hash, password)
    choices = await app.read(practices.practice_names) or []
    blank = NewUserForm(practice=practice or await _own_practice(app))
    done = await app.fill_in(
        lambda typed, fault: NewUserDialog(typed or blank, choices, grantable, fault),
        lambda form: _create(app, form, hashed),
    )
    if done is not None:
        await app.push_screen_wait(ShownOnceDialog("One-time password", done.message, password))


async def _own_practice(app: ActingApp) -> str | None:
    profile = await app.read(user_summaries.my_profile)
    return profile.detail.practice if profile else None


async def _create(app: ActingApp, form: NewUserForm, password_hash: str) -> Done | Denied:
    key = public_keys.parse(form.key) if form.key else None
    if isinstance(key, public_keys.KeyFault):
        return Denied(key.value)
    new = NewUser(
        name=form.name,
        email=form.email,
        full_name=form.full_name,
        roles=form.roles,
        required=form.required,
        password_hash=password_hash,
        key=key,
        phone=form.phone,
        practice=form.practice,
    )
    return await app.submit(lifecycle.create_user, new)


async def import_users(app: ActingApp, *, invites: bool) -> None:
    """Ask for CSV text until it is imported or the dialog is cancelled.

    With `invites`, those without a key can be invited afterwards.
    """
    text, fault = "", ""
    while True:
        answer = await app.push_screen_wait(
            PasteDialog(_TITLE, _BODY, text, fault, limit=users_csv.PASTED_LIMIT)
        )
        if answer is None:
            return
        text = answer
        found = await app.store.calculate(users_csv.read_people, text.encode("utf-8", "surrogatepass"))
        checked: Faulty | Denied | None = await app.submit(
            user_import.check_all, found.seen, lambda _more: None, found.faults
        )
        if isinstance(checked, Faulty | Denied):
            fault = _faults(checked.faults) if isinstance(checked, Faulty) else checked.message
            continue
        if not await app.push_screen_wait(ConfirmDialog(consequences.import_people(found.rows))):
            fault = ""
            continue
        telling = _telling(app, len(found.rows))
        result: Done | Faulty | Denied = await app.submit(user_import.import_people, found.rows, telling)
        if isinstance(result, Done):
            app.report(result)
            if invites:
                await _offer_invitations(app, [row.name for row in found.rows if row.key is None])
            return
        fault = _faults(result.faults) if isinstance(result, Faulty) else result.message


async def _offer_invitations(app: ActingApp, names: list[str]) -> None:
    """Offer to invite the users without a key, if e-mail can be sent."""
    if not names or app.carriers.smtp is None:
        return
    question = consequences.act_on_many(names, Bulk.INVITE)
    if not await app.push_screen_wait(ConfirmDialog(question)):
        return
    result = await app.act(bulk_actions.carry_out, names, Bulk.INVITE)
    if result is not None:
        words = f"{summary(result, Bulk.INVITE)}. {result.stopped}".rstrip()
        app.say(words, Tone.REFUSED if result.left else Tone.DONE)


def _telling(app: ActingApp, count: int) -> user_import.Told:
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        app.say(f"Importing: {done} of {count}")

    return tell


def _faults(faults: tuple[RowFault, ...]) -> str:
    lines = [
        f"Row {fault.row}{', ' + fault.column if fault.column else ''}: {fault.wrong}"
        if fault.row
        else fault.wrong
        for fault in faults[:_SHOWN]
    ]
    more = [f"… and {len(faults) - _SHOWN} more."] if len(faults) > _SHOWN else []
    return "\n".join(["Nothing was imported.", *lines, *more])
