"""What a connection decides instead of asyncssh, and how it answers an authentication request."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from asyncssh.public_key import SSHKey


class AuthOutcome(Enum):
    """How an authentication request is answered (RFC 4252 section 5.1)."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial success"
    FAILURE = "failure"


class TransportHooks(Protocol):
    """Decisions about incoming bytes."""

    def takes(self, received: int, waiting: int, unsent: int) -> bool:
        """Return whether to accept `received` bytes, while others wait to be processed and to be sent."""
        ...

    def charge(self, seconds: float, received: int) -> float:
        """Count the seconds that input took; return for how many seconds to stop reading."""
        ...

    @property
    def read_bytes(self) -> int:
        """How many bytes to read before others get a turn."""
        ...

    def speaks_no_ssh(self) -> None:
        """The client does not start as an SSH client does."""


class UserAuthHooks(Protocol):
    """Decisions about a sign-in, instead of asyncssh."""

    @property
    def outcome(self) -> AuthOutcome:
        """How a request that claims success is answered now."""
        ...

    async def key_offered(self, key: SSHKey | None, verify: Callable[[], bool] | None) -> bool:
        """Judge a public key; `verify` checks the signature and is None for an unsigned probe."""
        ...

    def keys_exchanged(self) -> None:
        """The client has done its part of a key exchange, the first or a later one."""

    def answered(self) -> None:
        """An answer has arrived, whether or not a question was asked."""

    def refused(self, *, partial: bool) -> None:
        """A failure or partial success has been sent."""


class ChannelHooks(Protocol):
    """When others may write to the client."""

    def hold(self, cause: str) -> None:
        """Have nothing written because of `cause`."""

    def release(self, cause: str) -> None:
        """Have it written again, once the last cause is gone."""
