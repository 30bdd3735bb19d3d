"""A gate without a database, for tests of the SSH server alone."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from asyncssh.public_key import SSHKey

from data.operations.signin.admission import Admitted, Attempt, Session, TurnedAway
from data.operations.signin.code_verification import CodeWrong
from data.operations.signin.first_factor import Candidate, CodeNeeded, FirstFactorRejected, FirstFactorResult
from data.operations.signin.second_factor import CodeResult, SendResult
from data.operations.signin.sent_codes import CodeSent
from data.rules.domain_types import Application, FirstFactor, Method
from data.rules.policy import SignedIn
from data.rules.protocol_misuse import Misuse
from data.rules.source_addresses import Origin

PASSWORD = "the right password"
CODE = "123456"
LOCKED = "Locked after seven wrong codes. Ask a system administrator to unlock you."


@dataclass
class FakeBackend:
    """Everyone has the same password, code and keys; `locked` and `without_code` name exceptions."""

    keys: Iterable[SSHKey] = ()
    locked: set[str] = field(default_factory=set)
    without_code: set[str] = field(default_factory=set)
    wait: asyncio.Event | None = None
    found: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    proven_keys: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    sent: list[Method] = field(default_factory=list)
    methods: tuple[Method, ...] = (Method.APP,)
    opened: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    misuses: list[Misuse] = field(default_factory=list)

    async def find(self, username: str, address: str) -> Candidate:
        self.found.append(username)
        fingerprints = frozenset(key.get_fingerprint() for key in self.keys)
        return Candidate(username, Origin(Application.SSH, address), 0, 1, 1, fingerprints, "")

    async def prove_password(
        self, candidate: Candidate, password: str, gone: asyncio.Event
    ) -> FirstFactorResult:
        self.passwords.append(password)
        await self._pause()
        if password != PASSWORD:
            return FirstFactorRejected()
        return self._after_first_factor(candidate, FirstFactor.PASSWORD)

    async def prove_key(self, candidate: Candidate, fingerprint: str) -> FirstFactorResult:
        self.proven_keys.append(fingerprint)
        await self._pause()
        return self._after_first_factor(candidate, FirstFactor.KEY)

    async def submit_code(self, attempt: Attempt, answer: str) -> CodeResult:
        self.codes.append(answer)
        await self._pause()
        if answer != CODE:
            return CodeWrong(7 - len(self.codes))
        return self._admit(attempt.username)

    async def send_code(self, attempt: Attempt, method: Method) -> SendResult:
        self.sent.append(method)
        await self._pause()
        return CodeSent(method, "a•••@example.org")

    async def end_sessions(self, session_ids: Sequence[int]) -> None:
        self.ended.extend(session_ids)

    async def record_misuse(self, user_id: int, address: str, what: Misuse) -> None:
        self.misuses.append(what)

    def _after_first_factor(self, candidate: Candidate, factor: FirstFactor) -> FirstFactorResult:
        if candidate.username in self.locked:
            return TurnedAway(LOCKED)
        if candidate.username in self.without_code:
            return self._admit(candidate.username)
        return CodeNeeded(Attempt(1, candidate.username, candidate.origin, factor, "", methods=self.methods))

    def _admit(self, username: str) -> Admitted:
        self.opened.append(len(self.opened) + 1)
        return Admitted(session(self.opened[-1], username))

    async def _pause(self) -> None:
        if self.wait is not None:
            await self.wait.wait()


def session(number: int = 1, username: str = "alice", user_id: int = 1) -> Session:
    """Make a session that asks for nothing more."""
    started_at = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
    return Session(number, user_id, username, Application.SSH, "127.0.0.1", started_at, SignedIn())
