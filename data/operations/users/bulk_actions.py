"""One act on many users: users it cannot be done to are named, the others are done.

Each is judged by the rules for doing it to one. Because there may be very many, it is done in parts, each
of them one transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from data.operations.actors import Acting, Actor, roles_of
from data.operations.certificates.withdrawal import WithdrawalPreview, count_live, is_live
from data.operations.guards import authorise, why_not
from data.operations.leases import Work, one_at_a_time
from data.operations.results import Denied, Done, FreshProofNeeded, Refused, RefusedOrStale
from data.operations.users.credentials import set_one_time_password
from data.operations.users.factor_administration import (
    clear_two_factor,
    disable_two_factor,
    set_required,
    unlock,
)
from data.operations.users.invitation_conditions import unavailable
from data.operations.users.invitations import invite, remind
from data.operations.users.lifecycle import set_active
from data.operations.users.practices import action_to_move, find_practice, lost_by_moving, move_user
from data.operations.users.target_user import ActContext, Target
from data.operations.users.user_acts import why_not_to
from data.rules import passwords
from data.rules.permissions import Action, UserAct
from data.storage import models
from data.store import Store, StoreUnavailableError, Tx

Told = Callable[[int], None]
"""Called with how many more users were processed."""
PART = 25
"""Users of one transaction: others who write wait for it."""
_READ = 500
"""Users that one statement names."""
_HASHED = 10
"""Users of one transaction that needs a password hashed for each."""
MOST_PASSWORDS = 200
"""Users who are given one-time passwords at once: someone must hand these over."""
_NOT_ONESELF = "That is you. Do this separately, or ask another administrator."
_TOO_MANY = Denied(f"One-time passwords are set for at most {MOST_PASSWORDS} users at once. Mark fewer.")
_CODE_NEEDED = "A fresh code is needed to go on."


class Bulk(Enum):
    """An act that can be done to many users at once: what it does to each, and what they then were."""

    REQUIRE = UserAct.REQUIRE, "required"
    DISABLE = UserAct.DISABLE, "had their 2FA disabled"
    CLEAR = UserAct.CLEAR, "cleared"
    UNLOCK = UserAct.UNLOCK, "unlocked"
    PASSWORD = UserAct.ONE_TIME_PASSWORD, "given a one-time password"
    DEACTIVATE = UserAct.DEACTIVATE, "deactivated"
    MOVE = UserAct.MOVE, "moved"
    INVITE = UserAct.INVITE, "invited"
    REMIND = UserAct.REMIND, "reminded"

    def __init__(self, on_each: UserAct, done: str) -> None:
        self.on_each = on_each
        self.done = done

    @property
    def is_sent(self) -> bool:
        """Whether the act is a message to each user."""
        return self in {Bulk.INVITE, Bulk.REMIND}


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Which users it was done to, and which not, each with the reason.

    `left` are those whose turn did not come, because the actor stopped it or `stopped` says why.
    `passwords` are the one-time passwords that were set, each with its user's name; they exist only here.
    """

    done: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    left: tuple[str, ...] = ()
    stopped: str = ""
    passwords: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def size_of_part(act: Bulk) -> int:
    """Return how many users one transaction acts on."""
    return _HASHED if act is Bulk.PASSWORD else PART


async def carry_out(
    store: Store,
    actor: Actor,
    names: Iterable[str],
    act: Bulk,
    told: Told = lambda _more: None,
    *,
    detail: str = "",
    goes_on: Callable[[], bool] = lambda: True,
) -> BulkResult | RefusedOrStale:
    """Do one act to each of these users in parts, unless the actor has another bulk action in progress.

    `detail` is the reason of an unlock or the practice of a move. `goes_on` is asked between parts. A
    refusal that comes after the first part leaves the parts before it done.
    """
    work = _Work(store, actor, act, detail)
    return await store.finish(
        one_at_a_time(store, actor, Work.BULK, lambda: _in_parts(work, names, told, goes_on))
    )


@dataclass(frozen=True, slots=True)
class _Work:
    store: Store
    actor: Actor
    act: Bulk
    detail: str

    async def on(self, names: Sequence[str]) -> BulkResult | RefusedOrStale:
        """Do the act to the users of one part, in one transaction."""
        if self.act is not Bulk.PASSWORD:
            return await self.store.run(act_on_many, self.actor, names, self.act, self.detail)
        refusal = await self.store.run(act_on_many, self.actor, (), self.act)
        if not isinstance(refusal, BulkResult):
            return refusal
        services = self.store.services
        made = {name: passwords.one_time_from_random(services.random_bytes(20)) for name in names}
        hashes = {name: await self.store.compute(services.hasher.hash, made[name]) for name in names}
        part = await self.store.run(act_on_many, self.actor, names, self.act, hashes=hashes)
        if not isinstance(part, BulkResult):
            return part
        return replace(part, passwords=tuple((name, made[name]) for name in part.done))


async def _in_parts(
    work: _Work, names: Iterable[str], told: Told, goes_on: Callable[[], bool]
) -> BulkResult | RefusedOrStale:
    wanted = tuple(dict.fromkeys(names))
    if work.act is Bulk.PASSWORD and len(wanted) > MOST_PASSWORDS:
        return _TOO_MANY
    size = size_of_part(work.act)
    result = BulkResult((), ())
    for start in range(0, max(1, len(wanted)), size):
        if start and not goes_on():
            return replace(result, left=wanted[start:])
        some = wanted[start : start + size]
        part: BulkResult | RefusedOrStale
        try:
            part = await work.on(some)
        except StoreUnavailableError as error:
            # What the parts before it did is told all the same: nothing else knows the passwords.
            if not start:
                raise
            part = Denied(str(error))
        if not isinstance(part, BulkResult):
            if not start:
                return part
            why = _CODE_NEEDED if isinstance(part, FreshProofNeeded) else part.message
            return replace(result, left=wanted[start:], stopped=why)
        result = BulkResult(
            result.done + part.done,
            result.refused + part.refused,
            passwords=result.passwords + part.passwords,
        )
        told(len(some))
    return result


def act_on_many(
    tx: Tx,
    actor: Actor,
    names: Iterable[str],
    act: Bulk,
    detail: str = "",
    hashes: Mapping[str, str] = MappingProxyType({}),
) -> BulkResult | RefusedOrStale:
    """Do one act to each of these users, under the rules for doing it to one.

    `hashes` are those of the users' one-time passwords, by name.
    """
    acting = authorise(tx, actor, act.on_each.permission)
    if act is Bulk.MOVE and isinstance(acting, Acting):
        acting = authorise(tx, actor, action_to_move(acting, detail))
    if not isinstance(acting, Acting):
        return acting
    if nobody := _unavailable(acting, act):
        return nobody
    done: list[str] = []
    refused: list[tuple[str, str]] = []
    for name in dict.fromkeys(names):
        if _is_left_to_oneself(acting, name, act):
            refused.append((name, _NOT_ONESELF))
            continue
        match _ACTS[act](tx, actor, name, hashes[name] if act is Bulk.PASSWORD else detail):
            case Done():
                done.append(name)
            case Denied(message):
                refused.append((name, message))
            case over_or_stale:
                return over_or_stale
    return BulkResult(tuple(done), tuple(refused))


def preview_act(
    tx: Tx, actor: Actor, names: Iterable[str], act: Bulk, detail: str = ""
) -> WithdrawalPreview | Refused:
    """Return how many certificates an act on these users withdraws; those of users it is refused for stay."""
    acting = authorise(tx, actor, Action.SEE_PEOPLE)
    if not isinstance(acting, Acting):
        return acting
    refusal = why_not(acting, act.on_each.permission)
    if act is Bulk.MOVE:
        refusal = refusal or why_not(acting, action_to_move(acting, detail))
    if refusal:
        return refusal
    lost = _LOST.get(act)
    found = _with_certificates(acting, list(dict.fromkeys(names)), act) if lost else ()
    return WithdrawalPreview(sum(lost(each, detail) for each in found) if lost else 0)


def _with_certificates(acting: Acting, names: Sequence[str], act: Bulk) -> Iterator[Target]:
    """Yield those of these users who have live certificates and whom the actor may do the act to."""
    table, certificates, context = models.User, models.Certificate, ActContext(acting)
    have_some = table.id.in_(certificates.select(certificates.user).where(is_live(acting.tx)))
    for start in range(0, len(names), _READ):
        named = table.name.in_(names[start : start + _READ])
        for user in list(table.select().where((table.account == acting.account_id) & named & have_some)):
            found = Target(acting, user, roles_of(user), context)
            if not (_is_left_to_oneself(acting, user.name, act) or why_not_to(act.on_each, found)):
                yield found


def _lost(found: Target, _detail: str) -> int:
    return count_live(found.tx, models.Certificate.user == found.user.id)


def _lost_by_moving(found: Target, practice: str) -> int:
    wanted = find_practice(found.acting, practice)
    return lost_by_moving(found, wanted) if wanted else 0


def _is_left_to_oneself(acting: Acting, name: str, act: Bulk) -> bool:
    return act in {Bulk.CLEAR, Bulk.DISABLE} and acting.user is not None and acting.user.name == name


def bulk_acts(context: ActContext) -> frozenset[Bulk]:
    """Return what the actor may do to many users at once; a fresh proof may be asked for."""
    acting = context.acting
    possible = [act for act in Bulk if act is not Bulk.MOVE or context.has_several_practices]
    return frozenset(
        act
        for act in possible
        if (why_not(acting, act.on_each.permission) or _unavailable(acting, act)) is None
    )


def _unavailable(acting: Acting, act: Bulk) -> Denied | None:
    return unavailable(acting.tx, acting.policy, invites=act is Bulk.INVITE) if act.is_sent else None


_LOST: dict[Bulk, Callable[[Target, str], int]] = {
    Bulk.DISABLE: _lost,
    Bulk.CLEAR: _lost,
    Bulk.PASSWORD: _lost,
    Bulk.DEACTIVATE: _lost,
    Bulk.MOVE: _lost_by_moving,
}
"""How many certificates of a user an act withdraws; the others withdraw none."""
_ACTS: dict[Bulk, Callable[[Tx, Actor, str, str], Done | RefusedOrStale]] = {
    Bulk.REQUIRE: lambda tx, actor, name, _: set_required(tx, actor, name, required=True),
    Bulk.DISABLE: lambda tx, actor, name, _: disable_two_factor(tx, actor, name),
    Bulk.CLEAR: lambda tx, actor, name, _: clear_two_factor(tx, actor, name),
    Bulk.UNLOCK: unlock,
    Bulk.PASSWORD: set_one_time_password,
    Bulk.DEACTIVATE: lambda tx, actor, name, _: set_active(tx, actor, name, active=False),
    Bulk.MOVE: move_user,
    Bulk.INVITE: lambda tx, actor, name, _: invite(tx, actor, name),
    Bulk.REMIND: lambda tx, actor, name, _: remind(tx, actor, name),
}
