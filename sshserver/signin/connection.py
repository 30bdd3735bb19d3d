"""One SSH connection: it carries the sign-in conversation, and opens channels once that has ended well."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import asyncssh
from asyncssh.public_key import SSHKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from data.operations.signin.admission import Admitted
from data.operations.signin.first_factor import Candidate, PasswordResult
from data.operations.signin.second_factor import CodeResult, SendResult
from data.rules.protocol_misuse import Misuse
from data.rules.public_keys import ALGORITHMS
from data.store import MARK_SECONDS, OutcomeUnknownError, StoreUnavailableError
from sshserver.compat import asyncssh_shim
from sshserver.server_context import ServerContext
from sshserver.session.channel import AppSession
from sshserver.session.forwarding_refusal import ForwardsNothing
from sshserver.signin.conversation import (
    Ask,
    AuthOutcome,
    CheckCode,
    CheckPassword,
    Conversation,
    Reply,
    SendCode,
)
from sshserver.signin.login_grace import LoginGrace
from sshserver.telemetry import crash_reports

_Challenge = bool | tuple[str, str, str, list[tuple[str, bool]]]
_Result = TypeVar("_Result", bound=PasswordResult | CodeResult | SendResult)
_Outcome = TypeVar("_Outcome")
_BAD_ANSWER: Final = "An answer came that was not asked for."
_TOO_MANY_FAILURES: Final = "Too many authentication failures."
_TOO_MANY_CONNECTIONS: Final = "You have too many connections open. Close one, or try again in a minute."
_BROKEN_OFF: Final = "Signing in is not possible right now. Try again shortly."
_NO_DATABASE: Final = (
    "Signing in is not possible right now: the database is not available. Nothing was counted; try again "
    "shortly."
)
_OUTCOME_UNKNOWN: Final = (
    "The database was lost at the last moment: it is not known whether this was recorded. Sign in again, "
    "with a new code."
)
_ENDS: Final = (asyncssh.DisconnectError, OSError, asyncio.CancelledError)
"""How connections end beside misuse; what is not among them came up while a packet was looked at."""
_VIOLATIONS: Final = (
    asyncssh.ProtocolError,
    asyncssh.ProtocolNotSupported,
    asyncssh.MACError,
    asyncssh.CompressionError,
    asyncssh.KeyExchangeFailed,
    asyncssh.IllegalUserName,
    asyncssh.ServiceNotAvailable,
)


class Connection(ForwardsNothing):
    """The server's side of one connection."""

    def __init__(self, context: "ServerContext[Connection]") -> None:
        """Belong to `context`."""
        self._context = context
        self._limits = context.limits
        self._conversation = Conversation(context.limits)
        self._candidate: Candidate | None = None
        self._ssh: asyncssh.SSHServerConnection | None = None
        self._address = ""
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
        self._gone = asyncio.Event()
        self._told = context.telemetry.connection()
        self._received = 0
        self._audited: set[Misuse] = set()
        self.sessions: set[AppSession] = set()
        """The sessions of this connection's channels."""

    # The connection.

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Put the conversation in charge before anything is read, and start the clock."""
        try:
            asyncssh_shim.install(conn, self, self._limits)
        except BaseException:
            conn.abort()
            raise
        self._ssh = conn
        self._address = str((conn.get_extra_info("peername") or ("",))[0])
        self._told.opened(self._address)
        self._context.connections.add(self)
        self._waiting.begin(self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind; a session that was opened ends."""
        if isinstance(exc, _VIOLATIONS) or (exc is not None and not isinstance(exc, _ENDS)):
            self.misused(Misuse.PROTOCOL)
        self._ssh = None
        self._gone.set()
        self._waiting.end()
        self._context.connections.discard(self)
        if self._admitted_user is not None:
            self._context.admitted.give_back(self._admitted_user)
        if (session := self._conversation.session) is not None:
            self._context.start(self._context.end_session(session.id))
        self._told.closed(self._conversation.wrong_answers, self._conversation.unknown_keys)

    def misused(self, what: Misuse) -> None:
        """Count a misuse, and have it audited once where the first factor says of whom."""
        self._context.misuses[what] += 1
        self._told.refused(what)
        user_id = self._conversation.user_id
        if user_id is not None and what not in self._audited:
            self._audited.add(what)
            self._context.start(self._context.record_misuse(user_id, self._address, what))

    def speaks_no_ssh(self) -> None:
        """Close what some other protocol has opened."""
        self.misused(Misuse.PROTOCOL)
        self.abort()

    def takes(self, received: int, waiting: int, unsent: int) -> bool:
        """Take what a client sends as long as it is bounded: all of it before admission, what waits after."""
        self._received += received
        if self.is_admitted:
            fits = waiting <= self._limits.received_bytes and unsent <= self._limits.unsent_bytes
        else:
            fits = self._received <= self._limits.sign_in_bytes
        if not fits:
            self._session_misused(Misuse.FLOOD)
        return fits

    def charge(self, seconds: float) -> float:
        """Count the seconds that input took; before admission its amount is bounded instead."""
        session = self._conversation.session
        return self._context.input.charge(session.user_id, seconds) if session else 0.0

    def _session_misused(self, what: Misuse) -> None:
        self.misused(what)
        if what is Misuse.FLOOD:
            self.abort()

    def congested(self) -> None:
        """Draw nothing while the socket is full."""
        for session in self.sessions:
            session.pause("socket")

    def relieved(self) -> None:
        """Draw again."""
        for session in self.sessions:
            session.resume("socket")

    def disconnect(self, reason: str) -> None:
        """Say why, and close the connection."""
        if self._ssh is not None:
            asyncssh_shim.look_no_further(self._ssh)
            self._ssh.disconnect(asyncssh.DISC_BY_APPLICATION, reason)

    def abort(self) -> None:
        """Close the connection without a word, whatever is still to be sent."""
        if self._ssh is not None:
            asyncssh_shim.look_no_further(self._ssh)
            self._ssh.abort()

    async def gone(self) -> None:
        """Wait until the connection is closed."""
        await self._gone.wait()

    @property
    def session_id(self) -> int | None:
        """The number of the session that this connection was admitted to, or None."""
        session = self._conversation.session
        return session.id if session else None

    @property
    def is_admitted(self) -> bool:
        """Whether both factors were proven."""
        return self._conversation.session is not None

    # Sign-in.

    @property
    def outcome(self) -> AuthOutcome:
        """What a request that claims success deserves at this moment."""
        return self._conversation.outcome

    async def begin_auth(self, username: str) -> bool:
        """Take back what was proven, and look the name up. Authentication is always needed."""
        passed = self._conversation.first_factor_passed
        if passed:
            self.misused(Misuse.NAME_CHANGED)
        self._end_unused_session()
        self._conversation.begin()
        self._told.begun_anew()
        self._candidate = None
        self._asked = False
        if passed:
            self._waiting.begin_anew(self._address)
        try:
            self._candidate = await self._context.backend.find(username, self._address)
        except Exception as error:  # noqa: BLE001 - the client learns only that it is over.
            self._break_off(error)
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer public keys until a first factor is proven."""
        return self._conversation.offers_key

    def kbdint_auth_supported(self) -> bool:
        """Offer keyboard-interactive for the password, the code, or the reason for being turned away."""
        return self._conversation.offers_questions

    def password_auth_supported(self) -> bool:
        """Never: the method is judged on the event loop before we see it."""
        return False

    async def key_offered(self, key: SSHKey | None, verify: Callable[[], bool] | None) -> bool:
        """Judge a key: an unsigned probe learns whether it would do, and proves nothing."""
        conversation = self._conversation
        conversation.open_request()
        self._asked = False
        fingerprint = self._fingerprint_of_known(key)
        candidate = self._candidate
        if fingerprint is None or candidate is None or not conversation.offers_key or conversation.exhausted:
            conversation.count_unknown_key()
            return False
        if verify is None:
            return True
        if self._busy or not verify():
            conversation.count_wrong_answer()
            return False
        proof = self._context.backend.prove_key(candidate, fingerprint)
        passed = await self._judge("key", proof, conversation.take_key)
        return passed is True

    async def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> _Challenge:
        """Begin an exchange; without a name there is nobody to ask."""
        del username, lang, submethods
        reply = self._conversation.open_exchange()
        self._asked = False
        if self._candidate is None or (self._busy and isinstance(reply, SendCode)):
            return False
        return self._ask(await self._carry_out(reply))

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> _Challenge:
        """Have the answers judged and ask the next question."""
        del username
        if len(responses) != self._conversation.answers_wanted:
            self.misused(Misuse.BAD_ANSWER)
        if self._busy or self._candidate is None:
            return self._ask(self._conversation.count_wrong_answer())
        match self._conversation.answer(list(responses)):
            case CheckPassword(password):
                arrived = time.monotonic()
                proof = self._context.backend.prove_password(self._candidate, password, self._gone)
                outcome = await self._judge("password", proof, self._conversation.take_first_factor)
                await asyncio.sleep((arrived - time.monotonic()) % MARK_SECONDS)
                return self._ask(await self._carry_out(outcome))
            case CheckCode(attempt, answer):
                judgement = self._context.backend.submit_code(attempt, answer)
                outcome = await self._judge("code", judgement, self._conversation.take_code)
                return self._ask(await self._carry_out(outcome))
            case reply:
                return self._ask(await self._carry_out(reply))

    def keys_exchanged(self) -> None:
        """Go on to the first factor."""
        self._waiting.keys_exchanged()

    def answered(self) -> None:
        """End a connection that answers what was not asked, or twice."""
        if self._asked:
            self._waiting.answered()
        elif not self.is_admitted:
            self._conversation.count_wrong_answer()
            self.misused(Misuse.BAD_ANSWER)
            self.disconnect(_BAD_ANSWER)
        self._asked = False

    def _ask(self, reply: Ask | Reply) -> _Challenge:
        challenge = _challenge(reply)
        self._asked = not isinstance(challenge, bool)
        self._judged = not self._asked
        return challenge

    def refused(self, *, partial: bool) -> None:
        """End the connection after a failure that was one too many, or that undid an admission."""
        if self._conversation.first_factor_passed and not partial and not self._judged:
            self.misused(Misuse.NOT_OFFERED)
        self._judged = False
        self._conversation.count_refusal()
        if self._conversation.exhausted or self.is_admitted:
            self.misused(Misuse.FAILURES)
            self.disconnect(_TOO_MANY_FAILURES)

    def auth_completed(self) -> None:
        """Go on to channels. This stays synchronous: a channel may be opened right after it."""
        user_id = self._conversation.user_id
        if self._context.admits(user_id):
            self._admitted_user = user_id
            self._waiting.await_use()
        else:
            self._told.limited("connections_per_user")
            self.disconnect(_TOO_MANY_CONNECTIONS)

    async def _carry_out(self, reply: Ask | SendCode | Reply) -> Ask | Reply:
        """Have a code sent where that stands before the next question."""
        if not isinstance(reply, SendCode):
            return reply
        conversation = self._conversation
        sent_before = conversation.sent_codes
        sending = self._context.backend.send_code(reply.attempt, reply.method)
        outcome = await self._judge("send", sending, conversation.take_sent)
        if conversation.sent_codes > sent_before:
            self._waiting.await_sent_code()
        return outcome

    async def _judge(
        self, step: str, operation: Coroutine[Any, Any, _Result], take: Callable[[_Result], _Outcome]
    ) -> _Outcome | Reply:
        """Have the data layer judge, and take its result whether or not the client waits for it."""
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
        except Exception as error:  # noqa: BLE001 - the client learns only that it is over.
            self._break_off(error)
            return Reply.FAILURE
        finally:
            self._busy = False
        stale = self._ssh is None or exchange != self._conversation.exchange
        self._told.judged(step, result, time.monotonic() - began, stale=stale)
        if stale:
            # The client hung up or began anew meanwhile: what it would have opened stays shut.
            self._conversation.take_stale(result)
            if isinstance(result, Admitted):
                await self._context.end_session(result.session.id)
            return Reply.FAILURE
        outcome = take(result)
        if self._conversation.first_factor_passed:
            self._waiting.pass_first_factor(self._conversation.user_id)
        return outcome

    def _fingerprint_of_known(self, key: SSHKey | None) -> str | None:
        """Return the fingerprint of a key that is the candidate's and of a type that is taken."""
        if key is None or key.algorithm.decode("ascii") not in ALGORITHMS:
            return None
        public = key.pyca_key
        if isinstance(public, RSAPublicKey) and public.key_size < self._limits.rsa_min_bits:
            return None
        fingerprint = key.get_fingerprint()
        known = self._candidate.key_fingerprints if self._candidate else frozenset()
        return fingerprint if fingerprint in known else None

    def _end_unused_session(self) -> None:
        if (session := self._conversation.session) is not None:
            self._context.start(self._context.end_session(session.id))

    def _break_off(self, error: BaseException) -> None:
        """End the connection, since nothing can be judged; the store itself logs what is wrong with it."""
        known = isinstance(error, StoreUnavailableError)
        self._told.broken_off(None if known else crash_reports.report(error, "Sign-in"))
        if isinstance(error, OutcomeUnknownError):
            self.disconnect(_OUTCOME_UNKNOWN)
        else:
            self.disconnect(_NO_DATABASE if known else _BROKEN_OFF)

    def _too_late(self) -> None:
        if not self.is_admitted:
            self.misused(Misuse.LATE)
            self.disconnect("The time to sign in is over.")
        elif not self._is_used:
            self.disconnect("The connection was not used.")

    def _make_room(self) -> None:
        self.misused(Misuse.CROWD)
        self.abort()

    # Channels.

    def session_requested(self) -> AppSession | bool:
        """Open a channel for whoever was admitted."""
        admission = self._conversation.session
        if admission is None:
            return False
        if len(self.sessions) >= self._limits.sessions_per_connection:
            self.misused(Misuse.CHANNELS)
            return False
        user_id = admission.user_id

        def claim() -> bool:
            if not self._context.sessions.take(user_id):
                self._told.limited("sessions_per_user")
                return False
            self._told.session_opened(admission.id)
            return True

        def ended(session: AppSession) -> None:
            self.sessions.discard(session)
            if not session.claimed:
                return  # It was no use of the connection, so the clock of that goes on.
            self._context.sessions.give_back(user_id)
            self._told.session_ended(admission.id, session.ended_because)
            if not self._is_used and self._ssh is not None:
                self._waiting.await_use()

        session = AppSession(
            admission,
            self._context.make_app,
            self._limits,
            claim=claim,
            turn=partial(self._context.drawing.turn, user_id),
            on_misuse=self._session_misused,
            on_end=ended,
        )
        self.sessions.add(session)
        return session

    @property
    def _is_used(self) -> bool:
        """Whether an app runs; a channel on which nothing was started holds no connection open."""
        return any(session.claimed for session in self.sessions)


def _challenge(reply: Ask | Reply) -> _Challenge:
    """Write a reply in asyncssh's form."""
    if isinstance(reply, Reply):
        return reply is Reply.SUCCESS
    prompts = [] if reply.prompt is None else [(_ascii(reply.prompt), False)]
    return ("", _ascii(reply.instruction), "", prompts)


def _ascii(words: str) -> str:
    """Write a challenge so that every client shows it.

    OpenSSH writes what is not ASCII in an instruction as octal numbers, in whatever locale, and no
    client says before a session what its terminal can show.
    """
    return words.replace("•", "*").encode("ascii", "replace").decode()
