"""Creating a user: from the form to the one-time password."""

from data.operations.results import Denied, Done
from data.operations.users import lifecycle, practices, user_summaries
from data.operations.users.lifecycle import NewUser
from data.rules import passwords, public_keys
from tui.dialogs.new_user import NewUserDialog, NewUserForm
from tui.dialogs.tell import ShownOnceDialog
from tui.screens.base_app import ActingApp


async def create_user(app: ActingApp, practice: str | None = None) -> None:
    """Ask for a new user until one is created or the form is left; then show the one-time password once.

    The form begins with `practice`, or with the practice of whoever fills it in.
    The password is stored with the user, in one operation: there is no user without it.
    """
    password = passwords.one_time_from_random(app.store.services.random_bytes(20))
    hashed = await app.store.compute(app.store.services.hasher.hash, password)
    choices = await app.read(practices.practice_names) or []
    blank = NewUserForm(practice=practice or await _own_practice(app))
    done = await app.fill_in(
        lambda typed, fault: NewUserDialog(typed or blank, choices, fault),
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
