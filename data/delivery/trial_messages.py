"""Test messages: an operation words one, then its carrier accepts it or says why not."""

from data.delivery.carriers import Carriers, Trial
from data.operations.actors import Actor
from data.operations.policy import delivery_tests
from data.operations.results import Refused
from data.rules.domain_types import Method
from data.rules.sent_codes import Envelope
from data.store import Store


async def send_test(
    store: Store, actor: Actor, carriers: Carriers, method: Method, to: str
) -> Trial | Refused:
    """Send a test message to an address or number; return how its carrier answered.

    It runs to its end even when the caller is cancelled, so that a failure is always recorded.
    """
    return await store.finish(_send_test(store, actor, carriers, method, to))


async def _send_test(
    store: Store, actor: Actor, carriers: Carriers, method: Method, to: str
) -> Trial | Refused:
    made = await store.run(delivery_tests.prepare_test, actor, method, to)
    if not isinstance(made, Envelope):
        return made
    trial = await carriers.test(made)
    if not trial.taken:
        await store.run(delivery_tests.record_refusal, method, trial.words)
    return trial
