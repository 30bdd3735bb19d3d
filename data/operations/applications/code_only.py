"""Sign-ins to an application that has checked the password itself, and asks for the code alone.

It gets one rejection for every reason, after the same statements, also for names that do not exist: someone
who is not judged has a code judged in their place that nobody has, and what that writes is rolled back.
"""

from typing import Any

from data.operations.actors import factor_among, facts_of, policy_of, usable_factors
from data.operations.applications import guessing
from data.operations.applications.asking import (
    Accept,
    AskingApplication,
    Reject,
    VerifyRequest,
    accepted,
    enabled_application,
    is_served,
    origin_of_request,
    practices_served,
)
from data.operations.signin import code_verification, sent_codes
from data.operations.signin.admission import Attempt, accept, notices
from data.operations.signin.attempts import judge_answer
from data.operations.signin.code_verification import CodeWrong, LockedNow, Right
from data.operations.signin.sent_codes import CodeToSend
from data.rules import code_answers, totp
from data.rules.code_answers import Answer
from data.rules.domain_types import FirstFactor, Method, Proof
from data.rules.policy import ATTEMPTS, NeedCode, next_step
from data.rules.sent_codes import Purpose, asked_for, sent_at_once
from data.rules.source_addresses import Origin
from data.rules.user_fields import USERNAME_LIMIT, fold_username
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.storage.vault import Vault
from data.store import Tx

_NOT_THROUGH_US = FirstFactor.KEY
"""What the rules are told was proven: a one-time password that was not used here is not replaced first."""

_USER = Prepared(
    models.User,
    1,
    lambda name: (
        models.User.select(models.User, models.Account).join(models.Account).where(models.User.name == name)
    ),
    parent="account",
)


def judge_code(tx: Tx, asking: AskingApplication, request: VerifyRequest) -> Accept | Reject:
    """Judge a code: count, verify, spend and audit, all or nothing."""
    application = enabled_application(asking)
    if application is None or application.suspended_at is not None:
        return Reject()
    origin = origin_of_request(asking, request)
    user, usable = _find(tx, application, request.name)
    someone, app = user or _nobody(application), factor_among(usable, Method.APP)
    answer = code_answers.read(request.answer)
    wrong = False
    if answer is not None:
        run: Any = tx.database.execute_sql
        run("SAVEPOINT judged")
        if user is None:
            _judge_nobody(tx, someone, answer, origin)
            run("ROLLBACK TO SAVEPOINT judged")
        else:
            verdict = judge_answer(tx, user, app, request.answer, origin, may_resync=False)
            run("RELEASE SAVEPOINT judged")
            if isinstance(verdict, Right):
                attempt = Attempt(user.id, user.name, origin, _NOT_THROUGH_US, "")
                accept(tx, user, attempt, verdict.method)
                return accepted(application, user, " ".join(notices(user, verdict)))
            wrong = isinstance(verdict, CodeWrong | LockedNow)
    guess = guess_of(tx.services.vault, asking, request)
    suspends = guessing.note_reject(tx, application, guess, user.id if user and wrong else 0)
    return Reject(suspends=suspends)


def guess_of(vault: Vault, asking: AskingApplication, request: VerifyRequest) -> guessing.Guess:
    """Return what an answer counts as if it is rejected; an unknown name is kept as its bucket alone."""
    name = fold_username(request.name) or request.name[:USERNAME_LIMIT]
    return guessing.Guess(origin_of_request(asking, request), vault.bucket(name))


def make_code(tx: Tx, asking: AskingApplication, request: VerifyRequest) -> CodeToSend | None:
    """Create the code that an answer asks for, which is empty or a method's letter; None if there is none.

    Only for an application that may have codes sent.
    """
    application = enabled_application(asking)
    if application is None or application.suspended_at is not None or not application.may_send:
        return None
    user, usable = _find(tx, application, request.name)
    methods = tuple(Method(row.kind) for row in usable)
    typed = request.answer.strip()
    method = asked_for(typed, methods) if typed else sent_at_once(methods)
    factor = factor_among(usable, method) if user and method else None
    if user is None or method is None or factor is None or factor.destination is None:
        return None
    origin = origin_of_request(asking, request)
    made = sent_codes.make_code(tx, user, method, factor.destination, Purpose.PROOF, origin)
    return made if isinstance(made, CodeToSend) else None


def _find(
    tx: Tx, application: models.Application, name: str
) -> tuple[models.User | None, list[models.Factor]]:
    """Find a user who can give a code to an application, and their factors; None for everyone else."""
    user, practices = _USER.one(fold_username(name) or ""), practices_served(application)
    if user is not None and not is_served(application, practices, user):
        user = None
    someone = user or _nobody(application)
    usable = usable_factors(someone.id, policy_of(someone.account))
    facts = facts_of(tx, someone, usable)
    step = next_step(policy_of(someone.account), facts, Proof(_NOT_THROUGH_US), tx.now)
    gives_code = isinstance(step, NeedCode) and bool(step.methods)
    return (user if gives_code else None), usable


def _nobody(application: models.Application) -> models.User:
    """Return a user who has no row."""
    return models.User(
        id=0, account=application.account, name="", active=False, attempts_left=ATTEMPTS, wrong_answers=""
    )


def _judge_nobody(tx: Tx, nobody: models.User, answer: Answer, origin: Origin) -> None:
    """Judge an answer as that of a user with an app, whose codes nobody has."""
    secret = tx.services.vault.seal(tx.services.random_bytes(totp.SECRET_BYTES), user_id=0, factor_id=0)
    app = models.Factor(id=0, user=nobody, sealed_secret=secret, last_step=0, barred_steps="", drift=0)
    code_verification.judge(tx, nobody, app, answer, origin)
