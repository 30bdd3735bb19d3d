"""Registered applications, and what they ask."""

from collections.abc import Callable

import pytest
from support.database import OPERATOR, World

from data.authserver.verification import Verifier
from data.operations.actors import Actor
from data.operations.applications import asking, registry
from data.rules.applications import Asks, NewApplication, Protocol


class Asking:
    """An application that was added to a world, as it asks from loopback."""

    def __init__(self, world: World, name: str, asks: Asks, actor: Actor = OPERATOR, **options) -> None:
        self._world = world
        self.name = name
        new = NewApplication(name, Protocol.HTTP, asks, **options)
        self.token = world.run(registry.add_application, actor, new).secret
        self.verifier = Verifier(world.store)

    @property
    def identity(self) -> asking.AskingApplication:
        found = self._world.run(asking.authenticate_application, self.token, "127.0.0.1")
        assert found is not None
        return found

    async def ask(self, name: str, answer: str, transaction_id: str | None = None, **more):
        request = asking.VerifyRequest(name, answer, transaction_id, **more)
        return await self.verifier.verify(self.identity, request)


@pytest.fixture
def application(world) -> Callable[..., Asking]:
    return lambda name, asks, **options: Asking(world, name, asks, **options)
