"""The second factor at a sign-in: having a code sent, and judging the answer."""

from dataclasses import replace

from data.operations.actors import factor_among, facts_of, policy_of, read_user, usable_factors
from data.operations.audit.wrong_codes import locked_in_words
from data.operations.signin import sent_codes
from data.operations.signin.admission import (
    CREDENTIAL_CHANGED,
    Admitted,
    Attempt,
    TurnedAway,
    admit,
    ended_meanwhile,
    proof_of,
    read_attempting,
    step_of,
    turn_away,
)
from data.operations.signin.attempts import AskedAgain, judge_answer
from data.operations.signin.code_verification import LockedNow, Right
from data.operations.signin.first_factor import FirstFactorRejected
from data.operations.signin.remembered_addresses import remember
from data.operations.signin.sent_codes import CodeSent, CodeToSend, NotSent
from data.rules.domain_types import Method
from data.rules.policy import NeedCode, Refused
from data.rules.sent_codes import Purpose
from data.store import Tx

CodeResult = Admitted | AskedAgain | TurnedAway | FirstFactorRejected
SendResult = CodeSent | NotSent | TurnedAway


def submit_code(tx: Tx, attempt: Attempt, answer: str) -> CodeResult:
    """Judge the answer to the prompt for a code: count, verify, spend, audit and admit, all or nothing."""
    found = read_attempting(attempt)
    if found is None:
        return TurnedAway(CREDENTIAL_CHANGED)
    user, stands, roles = found
    if reason := ended_meanwhile(user, attempt, stands=stands):
        return turn_away(tx, user, attempt, reason)
    usable = usable_factors(user.id, policy_of(user.account))
    proof, facts = proof_of(tx, user, attempt), facts_of(tx, user, usable, roles)
    step = step_of(tx, user, proof, facts)
    if isinstance(step, Refused):
        return turn_away(tx, user, attempt, step.reason)
    if not isinstance(step, NeedCode):
        return admit(tx, user, attempt, step, proof)
    verdict = judge_answer(
        tx, user, factor_among(usable, Method.APP), answer, attempt.origin, may_resync=True
    )
    if isinstance(verdict, Right):
        if not verdict.is_temporary:
            remember(tx, user, attempt.origin, attempt.credential)
        # A right answer changes no fact that matters to the user who gave it.
        proof = replace(proof, code=True)
        return admit(tx, user, attempt, step_of(tx, user, proof, facts), proof, method=verdict)
    return TurnedAway(locked_in_words(user)) if isinstance(verdict, LockedNow) else verdict


def send_code(tx: Tx, attempt: Attempt, method: Method) -> CodeToSend | NotSent | TurnedAway:
    """Create a code for a user who has passed the first factor; asking never changes the attempt count."""
    user = read_user(attempt.user_id)
    if user is None:
        return TurnedAway(CREDENTIAL_CHANGED)
    if reason := ended_meanwhile(user, attempt):
        return turn_away(tx, user, attempt, reason)
    usable = usable_factors(user.id, policy_of(user.account))
    step = step_of(tx, user, proof_of(tx, user, attempt), facts_of(tx, user, usable))
    if isinstance(step, Refused):
        return turn_away(tx, user, attempt, step.reason)
    factor = factor_among(usable, method)
    if not isinstance(step, NeedCode) or factor is None:
        return NotSent(f"Codes can no longer be sent to you by {method.label}. Sign in again.")
    if factor.destination is None:
        return NotSent("Codes from an authenticator app are not sent. Open the app.")
    return sent_codes.make_code(tx, user, method, factor.destination, Purpose.PROOF, attempt.origin)
