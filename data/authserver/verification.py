"""One answer to an application, whatever the protocol it asks by: a small sequence of operations.

The store's rules apply: an answer that was begun is finished, even if who asked has hung up.
"""

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from typing import Final

from data.delivery import sent_codes as delivery
from data.delivery.carriers import Carriers
from data.errors import ExplainedError
from data.operations.applications import code_only, guessing, password_signin
from data.operations.applications.asking import (
    AskingApplication,
    Challenge,
    Reject,
    Send,
    Verdict,
    VerifyRequest,
)
from data.operations.signin import second_factor
from data.operations.signin.admission import TurnedAway
from data.operations.signin.first_factor import FirstFactorRejected, NotJudged, judge_password
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.applications import ANSWER_LIMIT, Asks, Fields, split_answer
from data.store import Store, StoreUnavailableError

_log = logging.getLogger("twofold.applications")
IF_IT_CAN_BE_SENT: Final = "Type your code. If one can be sent to you, it is on its way."
_MOST_SENDING: Final = 64
"""Codes that are sent aside at a time."""
_LETTERS: Final = 1
"""Characters of the longest answer that asks for a code to be sent."""


class NotJudgedError(ExplainedError):
    """Too many other passwords were waiting; nothing was counted, and the same may be asked again."""

    def __init__(self) -> None:
        super().__init__(NotJudged.message)


class Verifier:
    """Answers applications from the content of a store, and has codes sent by `carriers`."""

    def __init__(self, store: Store, carriers: Carriers | None = None) -> None:
        self._store = store
        self._carriers = carriers or Carriers()
        self._sending: set[asyncio.Task[None]] = set()

    async def verify(self, asking: AskingApplication, request: VerifyRequest) -> Verdict:
        """Answer whether a user may sign in.

        Raises:
            NotJudgedError: when too many passwords wait; nothing was counted or accepted.
            StoreUnavailableError: when the database fails; nothing was counted or accepted.
        """
        began = time.monotonic()
        verdict = await self._judged(asking, request)
        fields = {
            "application": asking.name,
            "result": type(verdict).__name__.lower(),
            "ms": round((time.monotonic() - began) * 1000, 1),
        }
        _log.info("application.answered", extra={"fields": fields})
        return verdict

    async def _judged(self, asking: AskingApplication, request: VerifyRequest) -> Verdict:
        if len(request.answer) > ANSWER_LIMIT:
            return Reject() if asking.asks is Asks.CODE else Reject(password_signin.WRONG_PASSWORD)
        if asking.asks is Asks.CODE:
            return await self._code(asking, request)
        return await self._store.finish(self._password(asking, request))

    async def _password(self, asking: AskingApplication, request: VerifyRequest) -> Verdict:
        if request.transaction_id is not None:
            return await self._sent(
                await self._store.run_with_others(password_signin.answer_challenge, asking, request)
            )
        candidate = await self._store.read_until_mark(password_signin.find_candidate, asking, request)
        if candidate is None:
            return Reject()
        whole = Fields(request.answer, "")
        fields = split_answer(request.answer) if asking.asks is Asks.PASSWORD_AND_CODE else whole
        settle = password_signin.SettlePassword(asking, fields.code)
        result = await judge_password(self._store, candidate, fields.password, settle)
        if isinstance(result, FirstFactorRejected):
            return Reject(password_signin.WRONG_PASSWORD)
        if isinstance(result, NotJudged):
            raise NotJudgedError
        return await self._sent(result)

    async def _sent(self, result: Verdict | Send) -> Verdict:
        """Have a code sent where one is needed, and ask for it."""
        if not isinstance(result, Send):
            return result
        sent: CodeSent | NotSent | TurnedAway = await delivery.send(
            self._store, self._carriers, second_factor.send_code, result.attempt, result.method
        )
        if isinstance(sent, TurnedAway):
            return Reject(sent.reason)
        said = sent.reason if isinstance(sent, NotSent) else sent.message
        return password_signin.question(result.attempt, result.transaction_id, said)

    async def _code(self, asking: AskingApplication, request: VerifyRequest) -> Verdict:
        """Answer at a mark, so that the time tells nothing of whether a user exists."""
        if asking.may_send and len(request.answer.strip()) <= _LETTERS:
            self._send_aside(asking, request)
            return Challenge(secrets.token_urlsafe(24), IF_IT_CAN_BE_SENT)
        if request.from_address:
            await self._slow_down(asking, request)
        result = await self._store.run_until_mark(code_only.judge_code, asking, request)
        if isinstance(result, Reject) and result.suspends:
            _log.error(
                "Application %s is suspended: it guesses codes. A security administrator can enable it.",
                asking.name,
            )
        return result

    async def _slow_down(self, asking: AskingApplication, request: VerifyRequest) -> None:
        """Wait as long as guesses from the user's address have deserved."""
        guess = code_only.guess_of(self._store.services.vault, asking, request)
        seconds = await self._store.read(guessing.delay_of, guess)
        if seconds:
            await asyncio.sleep(seconds)

    def _send_aside(self, asking: AskingApplication, request: VerifyRequest) -> None:
        """Have a code sent while the answer is already given: its time would tell whether there is one.

        With too many under way, none is: who asked asks again.
        """
        if len(self._sending) >= _MOST_SENDING:
            return

        async def send() -> None:
            # Who asked is told nothing of how it went, and asks again.
            with suppress(StoreUnavailableError):
                await delivery.send(self._store, self._carriers, code_only.make_code, asking, request)

        task = asyncio.ensure_future(send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
