"""Sending a code: an operation creates it in its transaction, then a carrier accepts or refuses it."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from data.delivery.carriers import Carriers, UndeliveredError
from data.operations.signin.sent_codes import CodeSent, CodeToSend, NotSent, record_failure
from data.store import Store, Tx

P = ParamSpec("P")
R = TypeVar("R")


async def send(
    store: Store,
    carriers: Carriers,
    operation: Callable[Concatenate[Tx, P], R | CodeToSend],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> R | CodeSent | NotSent:
    """Create a code with an operation and deliver it; any other result of the operation is returned.

    It runs to its end even when the caller is cancelled, so that a failure is always recorded.
    """
    return await store.finish(_send(store, carriers, lambda tx: operation(tx, *args, **kwargs)))


async def _send(
    store: Store, carriers: Carriers, operation: Callable[[Tx], R | CodeToSend]
) -> R | CodeSent | NotSent:
    made = await store.run(operation)
    if not isinstance(made, CodeToSend):
        return made
    label = made.envelope.method.label
    try:
        await carriers.carry(made.envelope)
    except UndeliveredError as error:
        await store.run(record_failure, made, str(error))
        return NotSent(
            f"The code could not be sent by {label} right now. Choose another method, or try again."
        )
    return CodeSent(made.envelope.method, made.masked)
