"""What a connection needs from the data layer. The self-test uses a backend of its own instead."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from data.delivery import sent_codes as delivery
from data.delivery.carriers import Carriers
from data.operations.signin import first_factor, second_factor, sessions
from data.operations.signin.admission import Attempt
from data.operations.signin.first_factor import Candidate, FirstFactorResult, PasswordResult
from data.operations.signin.second_factor import CodeResult, SendResult
from data.operations.signin.uncounted_attempts import record_misuse
from data.rules.domain_types import Application, Method
from data.rules.protocol_misuse import Misuse
from data.rules.source_addresses import Origin, normalise
from data.store import Store

_PATIENCE: Final = 0.05
"""Seconds in which ends of sessions are written together with what else is written."""


class AuthBackend(Protocol):
    """Judges both factors. Once started, a judgement completes even if the client has hung up."""

    async def find(self, username: str, address: str) -> Candidate:
        """Look up a typed name; an unknown one returns a candidate who can prove nothing."""
        ...

    async def prove_password(
        self, candidate: Candidate, password: str, gone: asyncio.Event
    ) -> PasswordResult:
        """Judge a password; `gone` is set when the client leaves."""
        ...

    async def prove_key(self, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
        """Judge a key whose signature was verified, unless the candidate says that a code is asked."""
        ...

    async def submit_code(self, attempt: Attempt, answer: str) -> CodeResult:
        """Judge a code."""
        ...

    async def send_code(self, attempt: Attempt, method: Method) -> SendResult:
        """Send a code to a user who has passed the first factor; this is not an attempt."""
        ...

    async def end_sessions(self, session_ids: Sequence[int]) -> None:
        """Record that sessions ended."""
        ...

    async def record_misuse(self, user_id: int, address: str, what: Misuse) -> None:
        """Record misuse by a connection that has passed this user's first factor."""
        ...


class StoreBackend:
    """Judges by the content of the database."""

    def __init__(self, store: Store, carriers: Carriers | None = None, worker: str | None = None) -> None:
        """Judge by the content of `store`, and send codes by `carriers`; `worker` holds the sessions."""
        self._store = store
        self._worker = worker
        self._carriers = carriers or Carriers()

    async def find(self, username: str, address: str) -> Candidate:
        """Look up a typed name in one reading transaction, in a time that does not reveal the result."""
        return await self._store.read_until_mark(
            first_factor.find_candidate, username, Origin(Application.SSH, address, self._worker)
        )

    async def prove_password(
        self, candidate: Candidate, password: str, gone: asyncio.Event
    ) -> PasswordResult:
        """Judge a password after the delay that applies to its source."""
        return await first_factor.prove_password(self._store, candidate, password, gone)

    async def prove_key(self, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
        """Judge a key whose signature was verified, in one transaction."""
        return await self._store.run_with_others(first_factor.prove_key, candidate, fingerprint)

    async def submit_code(self, attempt: Attempt, answer: str) -> CodeResult:
        """Count, verify and use up a code in one transaction."""
        return await self._store.run_with_others(second_factor.submit_code, attempt, answer)

    async def send_code(self, attempt: Attempt, method: Method) -> SendResult:
        """Create a code in one transaction, then pass it to its carrier."""
        return await delivery.send(self._store, self._carriers, second_factor.send_code, attempt, method)

    async def end_sessions(self, session_ids: Sequence[int]) -> None:
        """Record that sessions ended, if possible in a transaction that is needed anyway."""
        await self._store.run_with_next(_PATIENCE, sessions.end_sessions, session_ids)

    async def record_misuse(self, user_id: int, address: str, what: Misuse) -> None:
        """Record misuse in the audit log."""
        await self._store.run_with_others(
            record_misuse, user_id, Origin(Application.SSH, normalise(address)), what
        )
