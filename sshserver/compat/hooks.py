"""What a connection decides in the place of asyncssh, and how it answers an authentication request."""

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
    """What is decided of the bytes that come in."""

    def takes(self, received: int, waiting: int, unsent: int) -> bool:
        """Judge so many bytes more, when so many wait to be looked at and so many to be sent."""
        ...

    def charge(self, seconds: float) -> float:
        """Count the seconds that input took; return for how many seconds to read no more."""
        ...

    def speaks_no_ssh(self) -> None:
        """The client does not begin as an SSH client does."""


class UserAuthHooks(Protocol):
    """What is decided of a sign-in in the place of asyncssh."""

    @property
    def outcome(self) -> AuthOutcome:
        """How a request that claims success is answered at this moment."""
        ...

    async def key_offered(self, key: SSHKey | None, verify: Callable[[], bool] | None) -> bool:
        """Judge a public key; `verify` checks the signature and is None for an unsigned probe."""
        ...

    def keys_exchanged(self) -> None:
        """The client has done its part of a key exchange: the first one, or a later one."""

    def answered(self) -> None:
        """An answer to a question has come, whether or not one was asked."""

    def refused(self, *, partial: bool) -> None:
        """A failure has been sent, or a partial success."""


class ChannelHooks(Protocol):
    """What is told to those who write to the client."""

    def congested(self) -> None:
        """The socket takes no more for the moment."""

    def relieved(self) -> None:
        """The socket takes data again."""
