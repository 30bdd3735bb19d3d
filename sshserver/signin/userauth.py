"""The sign-in of one connection (RFC 4252): carries out what the conversation decides."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from asyncssh.public_key import SSHKey

from data.operations.signin.admission import Admitted, Attempt
from data.operations.signin.dialogue import CheckCode, SendCode
from data.operations.signin.first_factor import Candidate, PasswordResult, code_needed
from data.operations.signin.second_factor import CodeResult, SendResult
from data.rules.domain_types import FirstFactor
from data.rules.protocol_misuse import Misuse
from data.store import MARK_SECONDS, OutcomeUnknownError, StoreUnavailableError
from sshserver.algorithms import taken_fingerprint
from sshserver.compat.hooks import AuthOutcome
from sshserver.server_context import ServerContext
from sshserver.signin.conversation import Ask, CheckPassword, Conversation, Reply
from sshserver.signin.login_grace import LoginGrace
from sshserver.signin.transport import Transport
from sshserver.telemetry import crash_reports

_Result = TypeVar("_Result", bound=PasswordResult | CodeResult | SendResult)
_Outcome = TypeVar("_Outcome")
_BAD_ANSWER: Final = "An unexpected answer was received."
_TOO_MANY_FAILURES: Final = "Too many authentication failures."
_TOO_MANY_CONNECTIONS: Final = "You have too many open connections. Close one, or try again in a minute."
_BROKEN_OFF: Final = "Sign-in is not possible right now. Try again shortly."
_NO_DATABASE: Final = (
    "Sign-in is not possible right now because the database is unavailable. This did not count as an "
    "attempt. Try again shortly."
)
_OUTCOME_UNKNOWN: Final = (
    "The connection to the database was lost, so it is unknown whether this was recorded. Sign in again with "
    "a new code."
)


class UserAuth:
    """Asks a client for both factors and has them judged."""

    def __init__(self, context: ServerContext[Any], transport: Transport, conversation: Conversation) -> None:
        """Drive `conversation`, which nothing else changes."""
        self._context = context
        self._transport = transport
        self._conversation = conversation
        self._candidate: Candidate | None = None
        self._waiting = LoginGrace(
            context.limits,
            context.unauthenticated,
            context.awaiting_code,
            too_late=self._too_late,
            make_room=self._make_room,
        )
        self._busy = False
        self._asked = False
        self._judged = False
        self._admitted_user: int | None = None

    def wait(self) -> None:
        """Start the clocks of the sign-in."""
        self._waiting.begin(self._transport.address)

    def end(self) -> None:
        """Clean up, and end the session if one was opened."""
        self._waiting.end()
        if self._admitted_user is not None:
            self._context.admitted.give_back(self._admitted_user)
        self._end_session()

    # What asyncssh calls.

    async def begin(self, username: str) -> None:
        """Revoke what was proven, and look up the name."""
        passed = self._conversation.first_factor_passed
        if passed:
            self._transport.misused(Misuse.NAME_CHANGED)
        self._end_session()
        self._conversation.begin()
        self._transport.telemetry.restarted()
        self._candidate = None
        self._asked = False
        if passed:
            self._waiting.restart(self._transport.address)
        try:
            self._candidate = await self._context.backend.find(username, self._transport.address)
        except Exception as error:  # noqa: BLE001 - the client must learn only that it failed.
            self._break_off(error)

    async def open_exchange(self) -> Ask | Reply:
        """Start an exchange; it fails without a name."""
        reply = self._conversation.open_exchange()
        self._asked = False
        if self._candidate is None or (self._busy and isinstance(reply, SendCode)):
            return Reply.FAILURE
        return self._ask(await self._carry_out(reply))

    async def judge(self, responses: Sequence[str]) -> Ask | Reply:
        """Judge the answers of an exchange and return the next question."""
        if len(responses) != self._conversation.answers_wanted:
            self._transport.misused(Misuse.BAD_ANSWER)
        if self._busy or self._candidate is None:
            return self._ask(self._conversation.count_wrong_answer())
        reply = self._conversation.answer(list(responses))
        if isinstance(reply, CheckPassword):
            reply = await self._check_password(self._candidate, reply.password)
        elif isinstance(reply, CheckCode):
            judging = self._context.backend.submit_code(reply.asked, reply.answer)
            reply = await self._have_judged("code", judging, self._conversation.take_code)
        return self._ask(await self._carry_out(reply))

    def complete(self) -> bool:
        """Count the admitted connection, or close it if its user has too many."""
        user_id = self._conversation.user_id
        if not self._context.admits(user_id):
            self._transport.telemetry.limited("connections_per_user")
            self._transport.disconnect(_TOO_MANY_CONNECTIONS)
            return False
        self._admitted_user = user_id
        self._waiting.end()
        return True

    # What the shim calls.

    @property
    def outcome(self) -> AuthOutcome:
        """How a request that claims success is answered now."""
        return self._conversation.outcome

    async def key_offered(self, key: SSHKey | None, verify: Callable[[], bool] | None) -> bool:
        """Judge a key; an unsigned probe learns whether the key is acceptable, but proves nothing."""
        conversation = self._conversation
        conversation.open_request()
        self._asked = False
        fingerprint = taken_fingerprint(key, self._context.limits.rsa_min_bits)
        candidate = self._candidate if conversation.offers_key and not conversation.exhausted else None
        if candidate is None or fingerprint is None or fingerprint not in candidate.key_fingerprints:
            conversation.count_unknown_key()
            return False
        if verify is None:
            return True
        if self._busy or not verify():
            conversation.count_wrong_answer()
            return False
        if asked := code_needed(candidate, FirstFactor.KEY, fingerprint):
            return self._take("key", asked, conversation.take_key, time.monotonic())
        proving = self._context.backend.prove_key(candidate, fingerprint)
        return await self._have_judged("key", proving, conversation.take_key) is True

    def keys_exchanged(self) -> None:
        """Continue with the first factor."""
        self._waiting.keys_exchanged()

    def answered(self) -> None:
        """End a connection that answers without a question, or twice."""
        if self._asked:
            self._waiting.answered()
        elif self._conversation.session is None:
            self._conversation.count_wrong_answer()
            self._transport.misused(Misuse.BAD_ANSWER)
            self._transport.disconnect(_BAD_ANSWER)
        self._asked = False

    def refused(self, *, partial: bool) -> None:
        """End the connection after one failure too many, or one that revoked an admission."""
        conversation = self._conversation
        if conversation.first_factor_passed and not partial and not self._judged:
            self._transport.misused(Misuse.NOT_OFFERED)
        self._judged = False
        conversation.count_refusal()
        if conversation.exhausted or conversation.session is not None:
            self._transport.misused(Misuse.FAILURES)
            self._transport.disconnect(_TOO_MANY_FAILURES)

    # Judging.

    async def _check_password(self, candidate: Candidate, password: str) -> Ask | SendCode[Attempt] | Reply:
        """Judge a password; the answer comes at a fixed mark, so that its time reveals nothing."""
        arrived = time.monotonic()
        proving = self._context.backend.prove_password(candidate, password, self._transport.gone)
        reply = await self._have_judged("password", proving, self._conversation.take_first_factor)
        await asyncio.sleep((arrived - time.monotonic()) % MARK_SECONDS)
        return reply

    async def _carry_out(self, reply: Ask | SendCode[Attempt] | Reply) -> Ask | Reply:
        """Send a code if the next question needs one."""
        if not isinstance(reply, SendCode):
            return reply
        conversation = self._conversation
        sent_before = conversation.sent_codes
        sending = self._context.backend.send_code(reply.asked, reply.method)
        outcome = await self._have_judged("send", sending, conversation.take_sent)
        if conversation.sent_codes > sent_before:
            self._waiting.await_sent_code()
        return outcome

    async def _have_judged(
        self, step: str, operation: Coroutine[Any, Any, _Result], take: Callable[[_Result], _Outcome]
    ) -> _Outcome | Reply:
        """Let the data layer judge, and take its result even if the client does not wait."""
        self._busy = True
        work = self._settle(step, operation, take, self._conversation.exchange)
        return await asyncio.shield(self._context.start(work))

    async def _settle(
        self,
        step: str,
        operation: Coroutine[Any, Any, _Result],
        take: Callable[[_Result], _Outcome],
        exchange: int,
    ) -> _Outcome | Reply:
        began = time.monotonic()
        try:
            result = await operation
        except Exception as error:  # noqa: BLE001 - the client must learn only that it failed.
            self._break_off(error)
            return Reply.FAILURE
        finally:
            self._busy = False
        if self._transport.ssh is None or exchange != self._conversation.exchange:
            # The client hung up or started again meanwhile, so the result must open nothing.
            self._transport.telemetry.judged(step, result, time.monotonic() - began, stale=True)
            self._conversation.take_stale(result)
            if isinstance(result, Admitted):
                self._context.end_session(result.session.id)
            return Reply.FAILURE
        return self._take(step, result, take, began)

    def _take(
        self, step: str, result: _Result, take: Callable[[_Result], _Outcome], began: float
    ) -> _Outcome:
        """Take a result of the data layer on the client's present request."""
        self._transport.telemetry.judged(step, result, time.monotonic() - began, stale=False)
        outcome = take(result)
        if self._conversation.first_factor_passed:
            self._waiting.pass_first_factor(self._conversation.user_id)
        return outcome

    def _ask(self, reply: Ask | Reply) -> Ask | Reply:
        """Record whether a question is sent or the exchange has ended."""
        self._asked = isinstance(reply, Ask)
        self._judged = not self._asked
        return reply

    # Ends that the client did not ask for.

    def _end_session(self) -> None:
        if (session := self._conversation.session) is not None:
            self._context.end_session(session.id)

    def _break_off(self, error: BaseException) -> None:
        """End the connection, because nothing can be judged; the store logs its own errors."""
        known = isinstance(error, StoreUnavailableError)
        self._transport.telemetry.broken_off(None if known else crash_reports.report(error, "Sign-in"))
        if isinstance(error, OutcomeUnknownError):
            self._transport.disconnect(_OUTCOME_UNKNOWN)
        else:
            self._transport.disconnect(_NO_DATABASE if known else _BROKEN_OFF)

    def _too_late(self) -> None:
        self._transport.misused(Misuse.LATE)
        self._transport.disconnect("Sign-in took too long.")

    def _make_room(self) -> None:
        self._transport.misused(Misuse.CROWD)
        self._transport.abort()
