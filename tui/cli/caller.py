"""Who runs a command: the operator on the host, or a member over SSH."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from data.delivery.carriers import Carriers
from data.operations.actors import Actor
from data.store import Store, Tx

P = ParamSpec("P")
R = TypeVar("R")
GoesOn = Callable[[], bool]
"""Returns whether the caller still waits; asked between the parts of a long piece of work."""


class Caller(ABC):
    """Runs operations for whoever gave the command, from the command's own thread."""

    store: Store
    actor: Actor
    carriers: Carriers
    """What delivers codes and notices."""
    leads_on: bool = False
    """Whether what must be done next begins by itself, so that nobody has to be told how to begin it."""

    @abstractmethod
    def run(
        self, operation: Callable[Concatenate[Tx, Actor, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation as this caller.

        Raises:
            StoreUnavailableError: when the database fails.
        """

    def read(
        self, operation: Callable[Concatenate[Tx, Any, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation that only reads, as `run` does."""
        return self.run(operation, *args, **kwargs)

    @abstractmethod
    def wait(self, work: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a coroutine function that uses the store, and return its result.

        It may be run again, after a fresh proof. Ctrl+C cancels it.
        """

    @abstractmethod
    def finish(self, work: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a coroutine function that changes something, as `wait` does; Ctrl+C comes too late for it."""

    @abstractmethod
    def wait_until_stopped(self, work: Callable[[GoesOn], Coroutine[Any, Any, R]]) -> R:
        """Run work that is done in parts, as `wait` does; it is told when to stop, instead of cancelled."""

    @abstractmethod
    def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a costly pure function, such as hashing a password."""

    @abstractmethod
    def command(self, words: str) -> str:
        """Return what this caller must type to run another command."""
