"""Sign-ins to an application whose passwords are checked here; no session is opened.

After the password, an answer says why someone is rejected.
"""

import base64
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from data.operations.actors import factor_among, facts_of, policy_of, read_user, usable_factors
from data.operations.applications.asking import (
    Accept,
    AskingApplication,
    Challenge,
    Reject,
    Send,
    Verdict,
    VerifyRequest,
    accepted,
    enabled_application,
    is_served,
    origin_of_request,
    practices_served,
)
from data.operations.audit.wrong_codes import locked_in_words
from data.operations.signin import first_factor
from data.operations.signin.admission import Attempt, accept, ended_meanwhile, notices, turn_away
from data.operations.signin.attempts import judge_answer
from data.operations.signin.code_verification import LockedNow, Right
from data.operations.signin.dialogue import Question
from data.operations.signin.first_factor import Candidate, FirstFactorRejected, record_password
from data.rules import sent_codes
from data.rules.applications import token_hash
from data.rules.domain_types import FirstFactor, Method, Mode, Proof
from data.rules.policy import (
    MustChangePassword,
    NeedCode,
    Refused,
    SignedIn,
    Step,
    next_step,
    warning_of_few,
)
from data.rules.remembered_addresses import password_credential
from data.rules.source_addresses import Origin
from data.rules.user_fields import fold_username
from data.storage import models
from data.store import Tx

CHALLENGE_LIFE: Final = timedelta(minutes=5)
"""How long the answer to a question for a code is awaited."""
WRONG_PASSWORD: Final = "Wrong user name or password."  # noqa: S105 - a sentence.
_EXPIRED: Final = "This sign-in has expired. Start again with your password."
_TRANSACTION_BYTES: Final = 24


def find_candidate(tx: Tx, asking: AskingApplication, request: VerifyRequest) -> Candidate | None:
    """Look up a typed name among those that an application serves; None if it is no longer enabled."""
    application = enabled_application(asking)
    if application is None:
        return None
    practices = practices_served(application)
    return first_factor.find_candidate(
        tx,
        request.name,
        origin_of_request(asking, request),
        lambda user: is_served(application, practices, user),
        shares_address=not request.from_address,
    )


@dataclass(frozen=True, slots=True)
class SettlePassword:
    """Records a judged password and answers; `code` is what was typed beside it, if anything."""

    asking: AskingApplication
    code: str = field(repr=False)

    def __call__(
        self, tx: Tx, candidate: Candidate, /, *, right: bool, renewed: str | None, after_failures: bool
    ) -> Verdict | Send:
        """Record it, and judge the code, all or nothing."""
        user = record_password(tx, candidate, right=right, renewed=renewed, after_failures=after_failures)
        application = enabled_application(self.asking)
        if isinstance(user, FirstFactorRejected) or application is None:
            return Reject(WRONG_PASSWORD)
        if not is_served(application, practices_served(application), user):
            return Reject(WRONG_PASSWORD)
        attempt = _attempt(user, candidate.origin, password_credential(user.credential))
        return _decide(tx, application, user, attempt, self.code)


def answer_challenge(tx: Tx, asking: AskingApplication, request: VerifyRequest) -> Verdict | Send:
    """Judge the answer to a question: count, verify, spend and audit, all or nothing."""
    application = enabled_application(asking)
    challenge = _challenge(tx, asking, request.transaction_id or "")
    user = read_user(challenge.user_id) if challenge else None
    if application is None or challenge is None or user is None:
        return Reject(_EXPIRED)
    is_same = fold_username(request.name) == user.name
    if not is_same or not is_served(application, practices_served(application), user):
        return Reject(_EXPIRED)
    attempt = _attempt(user, origin_of_request(asking, request), challenge.credential)
    if reason := ended_meanwhile(user, attempt):
        return Reject(turn_away(tx, user, attempt, reason).reason)
    verdict = _decide(tx, application, user, attempt, request.answer, request.transaction_id)
    if request.once and isinstance(verdict, Reject):
        challenge.delete_instance()
    return verdict


def question(attempt: Attempt, transaction_id: str, said: str = "") -> Challenge:
    """Word the question for a code, after what was `said` about one that was sent."""
    asked = Question(attempt.methods, warning_of_few(attempt.attempts_left), said)
    return Challenge(transaction_id, asked.instruction or asked.prompt.strip(), attempt.methods)


def _attempt(user: models.User, origin: Origin, credential: str) -> Attempt:
    return Attempt(
        user.id, user.name, origin, FirstFactor.PASSWORD, credential, attempts_left=user.attempts_left
    )


def _decide(
    tx: Tx,
    application: models.Application,
    user: models.User,
    attempt: Attempt,
    typed: str,
    transaction_id: str | None = None,
) -> Verdict | Send:
    """Ask the rules about a user whose password was right, and judge what they typed for a code.

    `transaction_id` is that of the question that they answer; without one, they may have typed nothing yet.
    """
    usable = usable_factors(user.id, policy_of(user.account))
    step = next_step(policy_of(user.account), facts_of(tx, user, usable), Proof(FirstFactor.PASSWORD), tx.now)
    if not isinstance(step, NeedCode) or not step.methods:
        return _without_code(tx, application, user, attempt, step)
    attempt = replace(attempt, methods=step.methods)
    asked_for = sent_codes.asked_for(typed, step.methods)
    if transaction_id is None and not typed.strip():
        asked_for = sent_codes.sent_at_once(step.methods)
        if asked_for is None:
            return question(attempt, _open_challenge(tx, application, attempt))
    if asked_for is not None:
        return Send(attempt, asked_for, transaction_id or _open_challenge(tx, application, attempt))
    judged = judge_answer(tx, user, factor_among(usable, Method.APP), typed, attempt.origin, may_resync=False)
    if not isinstance(judged, Right):
        return Reject(locked_in_words(user) if isinstance(judged, LockedNow) else judged.message)
    if transaction_id is not None:
        asked = models.ApplicationChallenge.digest == token_hash(transaction_id)
        models.ApplicationChallenge.delete().where(asked).execute()
    accept(tx, user, attempt, f"password and {judged.method}")
    return accepted(application, user, " ".join(notices(user, judged)))


def _without_code(
    tx: Tx, application: models.Application, user: models.User, attempt: Attempt, step: Step
) -> Accept | Reject:
    """Answer about a user who needs no code, or cannot give one here."""
    if isinstance(step, SignedIn) and application.accept_without_2fa:
        turned_away = accept(tx, user, attempt, "password", by_code=False)
        return accepted(application, user) if turned_away is None else Reject(turned_away.reason)
    return Reject(turn_away(tx, user, attempt, _why_not(tx, user, step)).reason)


def _why_not(tx: Tx, user: models.User, step: Step) -> str:
    """Say why a user is rejected, and where to do what they must do first."""
    if isinstance(step, Refused):
        return step.reason.value
    if isinstance(step, SignedIn) and policy_of(user.account).mode is Mode.OFF:
        return "This application asks for a code, and two-factor authentication is turned off."
    first = "Choose a new password" if isinstance(step, MustChangePassword) else "Set up a second factor"
    ssh = tx.services.ssh
    return f"{first} first: {ssh.command(user.name)}" if ssh else f"{first} first: sign in over SSH."


def _open_challenge(tx: Tx, application: models.Application, attempt: Attempt) -> str:
    """Keep that a password was right until its code comes; return the transaction ID."""
    table = models.ApplicationChallenge
    table.delete().where(table.at <= tx.now - CHALLENGE_LIFE).execute()
    transaction_id = base64.urlsafe_b64encode(tx.services.random_bytes(_TRANSACTION_BYTES)).decode()
    table.insert(
        digest=token_hash(transaction_id),
        application=application.id,
        user=attempt.user_id,
        credential=attempt.credential,
        at=tx.now,
    ).execute()
    return transaction_id


def _challenge(tx: Tx, asking: AskingApplication, transaction_id: str) -> models.ApplicationChallenge | None:
    """Find a question of an application that still awaits its answer."""
    table = models.ApplicationChallenge
    lives = (table.at > tx.now - CHALLENGE_LIFE) & (table.at <= tx.now)
    found: models.ApplicationChallenge | None = table.get_or_none(
        (table.digest == token_hash(transaction_id)) & (table.application == asking.id) & lives
    )
    return found
