"""One act on many users: users it cannot be done to are named, the others are done.

It is one transaction. Invitations and reminders are queued in several, because there may be very many.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from data.operations.actors import Acting, Actor
from data.operations.guards import authorise
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done, RefusedOrStale
from data.operations.users.factor_administration import clear_two_factor, set_required
from data.operations.users.invitations import invite, remind, unavailable
from data.operations.users.lifecycle import set_active
from data.rules.permissions import Action, SensitiveAction
from data.store import Store, Tx

Told = Callable[[int], None]
"""Called with how many more users were processed."""
_PART = 50
"""Users whose messages are queued in one transaction."""
_NOT_ONESELF = "That is you. Do this separately, or ask another administrator."


class Bulk(Enum):
    """An act that can be done to many users at once, with who may do it."""

    REQUIRE = Action.REQUIRE_TWO_FACTOR, "required"
    CLEAR = SensitiveAction.RESET_TWO_FACTOR, "cleared"
    DEACTIVATE = Action.MANAGE_PEOPLE, "deactivated"
    INVITE = SensitiveAction.EMPOWER_PEOPLE, "invited"
    REMIND = Action.REQUIRE_TWO_FACTOR, "reminded"

    def __init__(self, action: Action | SensitiveAction, done: str) -> None:
        self.action = action
        self.done = done

    @property
    def is_sent(self) -> bool:
        """Whether the act is a message to each user."""
        return self in {Bulk.INVITE, Bulk.REMIND}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Which users it was done to, and which not, each with the reason."""

    done: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


async def carry_out(
    store: Store, actor: Actor, names: Iterable[str], act: Bulk, told: Told = lambda _more: None
) -> BulkResult | RefusedOrStale:
    """Do one act to each of these users, unless the actor has another bulk action in progress.

    Messages are queued in parts: a refusal that comes after the first part leaves the parts before it done.
    """
    return await store.finish(
        one_at_a_time(store, actor, Work.BULK, lambda: _in_parts(store, actor, names, act, told))
    )


async def _in_parts(
    store: Store, actor: Actor, names: Iterable[str], act: Bulk, told: Told
) -> BulkResult | RefusedOrStale:
    wanted = list(dict.fromkeys(names))
    size = _PART if act.is_sent else max(1, len(wanted))
    result = BulkResult((), ())
    for start in range(0, max(1, len(wanted)), size):
        some = wanted[start : start + size]
        part = await store.run(act_on_many, actor, some, act)
        if not isinstance(part, BulkResult):
            return part
        result = BulkResult(result.done + part.done, result.refused + part.refused)
        told(len(some))
    return result


def act_on_many(tx: Tx, actor: Actor, names: Iterable[str], act: Bulk) -> BulkResult | RefusedOrStale:
    """Do one act to each of these users, under the rules for doing it to one."""
    acting = authorise(tx, actor, act.action)
    if not isinstance(acting, Acting):
        return acting
    if act.is_sent and (nobody := unavailable(tx, acting.policy, invites=act is Bulk.INVITE)):
        return nobody
    done: list[str] = []
    refused: list[tuple[str, str]] = []
    for name in dict.fromkeys(names):
        if act is Bulk.CLEAR and acting.user is not None and acting.user.name == name:
            refused.append((name, _NOT_ONESELF))
            continue
        match _act(tx, actor, name, act):
            case Done():
                done.append(name)
            case Denied(message):
                refused.append((name, message))
            case over_or_stale:
                return over_or_stale
    return BulkResult(tuple(done), tuple(refused))


def _act(tx: Tx, actor: Actor, name: str, act: Bulk) -> Done | RefusedOrStale:
    match act:
        case Bulk.REQUIRE:
            return set_required(tx, actor, name, required=True)
        case Bulk.CLEAR:
            return clear_two_factor(tx, actor, name)
        case Bulk.DEACTIVATE:
            return set_active(tx, actor, name, active=False)
        case Bulk.INVITE:
            return invite(tx, actor, name)
        case Bulk.REMIND:
            return remind(tx, actor, name)
