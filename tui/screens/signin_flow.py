"""The steps of a sign-in, from the first to the main screens."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from data.operations.results import Denied, SessionOver
from data.operations.signin import admission, recovery_codes, worker_sessions
from data.operations.signin.admission import Admitted, Session, TurnedAway
from data.operations.signin.first_factor import CodeNeeded
from data.operations.signin.recovery_codes import NewRecoveryCodes
from data.operations.users import user_summaries
from data.rules.policy import MustChangePassword, MustEnrol, NeedCode, SignedIn
from data.rules.source_addresses import Origin
from data.wording import consequences
from data.wording import enrolment as wording
from data.wording.words import SIGNED_OUT
from tui.dialogs.message_box import ConfirmDialog, TellDialog
from tui.screens.base_app import ActingApp
from tui.screens.enrolment import enrol
from tui.screens.new_password import NewPasswordScreen
from tui.screens.recovery_codes import RecoveryCodesScreen
from tui.screens.signin import CodeScreen, SignInScreen
from tui.widgets.top_line import Heading

R = TypeVar("R")


async def lead_to_main_screens(app: ActingApp, origin: Origin | None) -> None:
    """Take the user through every step before the main screens, then open those."""
    if app.session is None and origin is not None and origin.worker is not None:
        await _begin_heartbeat(app, origin.worker)
    while app.session is None:
        app.session = await _sign_in(app, origin)
    app.session_began(app.session)
    while not isinstance(app.session.step, SignedIn):
        app.session = await _take_step(app, app.session)
    await _open_main_screens(app, app.session)


async def _begin_heartbeat(app: ActingApp, worker: str) -> None:
    """Register the app as a worker before it opens a session: a session without a live worker is ended."""

    async def first_beat() -> bool:
        await app.store.run(worker_sessions.beat, worker, worker_sessions.APP_NODE)
        return True

    await _until_answered(app, first_beat)


async def _take_step(app: ActingApp, session: Session) -> Session:
    """Do what a step asks for; the rules decide what comes next."""
    match session.step:
        case MustChangePassword():
            if not await app.push_screen_wait(NewPasswordScreen(session.notices)):
                raise app.ended(SIGNED_OUT)
        case MustEnrol():
            await _enrol(app)
        case NeedCode():
            return await _give_code(app, session)
    return await _advance(app, session)


async def _enrol(app: ActingApp) -> None:
    """Run the wizard. Leaving it ends the session; after a refusal the rules decide again."""
    match await enrol(app):
        case Denied(message):
            await app.push_screen_wait(TellDialog("Setup ended", message))
        case False:
            raise app.ended(SIGNED_OUT)


async def _advance(app: ActingApp, session: Session) -> Session:
    match await _until_answered(app, lambda: app.store.run(admission.advance, session.id)):
        case Admitted(following):
            return following
        case TurnedAway(reason):
            raise app.ended(reason)
        case _:
            raise app.ended("Sign in again.")


async def _until_answered(app: ActingApp, act: Callable[[], Awaitable[R]]) -> R:
    """Repeat what the next step depends on until the database answers."""
    while True:
        result = await app.reach(act)
        if result is not None:
            return result
        await app.push_screen_wait(TellDialog("Unavailable", app.said.words))


async def _give_code(app: ActingApp, session: Session) -> Session:
    if session.attempt is None:
        raise app.ended("Sign in again.")
    match await app.push_screen_wait(CodeScreen(session.attempt)):
        case Admitted(following):
            return following
        case TurnedAway(reason):
            raise app.ended(reason)
        case _:
            raise app.ended(SIGNED_OUT)


async def _sign_in(app: ActingApp, origin: Origin | None) -> Session | None:
    """Ask for both factors on the host; None to start again."""
    if origin is None:
        raise RuntimeError("a sign-in needs its origin")
    result = await app.push_screen_wait(SignInScreen(origin))
    if isinstance(result, CodeNeeded):
        answer = await app.push_screen_wait(CodeScreen(result.attempt))
        if answer is None:
            return None
        result = answer
    match result:
        case Admitted(session):
            return session
        case TurnedAway(reason):
            raise app.ended(reason)
        case _:
            raise app.ended(None)


async def _open_main_screens(app: ActingApp, session: Session) -> None:
    unsaved = await app.act(recovery_codes.replace_unsaved_codes)
    if isinstance(unsaved, NewRecoveryCodes):
        app.say(wording.REPLACES_UNSAVED_CODES)
        await app.push_screen_wait(RecoveryCodesScreen(unsaved.recovery_codes))
    match await _until_answered(app, lambda: app.store.read(user_summaries.my_profile, app.actor)):
        case user_summaries.Profile(detail=mine):
            app.heading = Heading(mine.account, mine.name)
            app.account_id, app.roles = mine.account_id, mine.roles
        case Denied(message) | SessionOver(message):
            raise app.ended(message)
    if session.notices:
        app.say(" ".join(session.notices))
    if session.temporary_code and any(factor.method.is_on_phone for factor in mine.factors):
        await _offer_new_phone(app)
    if session.days_left is not None:
        await _offer_set_up(app, session.days_left)
    app.open_tab("overview" if app.roles else "profile")


async def _offer_new_phone(app: ActingApp) -> None:
    """Offer to replace the phone: what a temporary code is fresh proof for is best done at once."""
    if await app.push_screen_wait(ConfirmDialog(consequences.replace_phone())):
        await _set_up(app)


async def _offer_set_up(app: ActingApp, days: int) -> None:
    """Offer to set up two-factor authentication while there are days left for that."""
    if await app.push_screen_wait(ConfirmDialog(consequences.set_up_in_time(days))):
        await _set_up(app)


async def _set_up(app: ActingApp) -> None:
    refused = await enrol(app)
    if isinstance(refused, Denied):
        app.report(refused)
