"""Who runs a command: the operator on the host, or a member over SSH."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from data.operations.actors import Actor
from data.store import Store, Tx

P = ParamSpec("P")
R = TypeVar("R")


class Caller(ABC):
    """Runs operations for whoever gave the command, from the command's own thread."""

    store: Store
    actor: Actor

    @abstractmethod
    def run(
        self, operation: Callable[Concatenate[Tx, Actor, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run an operation as this caller.

        Raises:
            StoreUnavailableError: when the database fails.
        """

    @abstractmethod
    def wait(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine that uses the store, and return its result."""

    @abstractmethod
    def compute(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a costly pure function, such as hashing a password."""

    @abstractmethod
    def command(self, words: str) -> str:
        """Return what this caller must type to run another command."""
