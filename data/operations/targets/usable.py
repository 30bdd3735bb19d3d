"""Which targets a user may reach, and whether they may reach any in the session that they act in."""

from typing import Any

from peewee import fn

from data.operations.actors import ActingUser
from data.rules import targets as rules
from data.storage import models
from data.store import Tx


def usable_targets(me: ActingUser) -> Any:
    """Select the targets of a user by name: those for everyone, their practice, a role of theirs, or them."""
    target, grant = models.Target, models.TargetGrant
    to_me = (
        (grant.practice == me.user.practice_id)
        | (grant.user == me.user.id)
        | grant.role.in_([role.value for role in me.roles])
    )
    granted = fn.EXISTS(grant.select(1).where((grant.target == target.id) & to_me))
    mine = (target.account == me.account_id) & (target.everyone | granted)
    return target.select().where(mine).order_by(target.name)


def why_not_jump(me: ActingUser, sign_in: str = "") -> str | None:
    """Return why a user may not jump in the session that they act in, as the rule words it."""
    return rules.why_no_jump(me.policy, me.facts, me.step, restricted=me.session.restricted, sign_in=sign_in)


def why_unreachable(tx: Tx, target: models.Target) -> str:
    """Return why no one can reach a target, as far as that is known, as the rule words it; or nothing."""
    networks = tx.services.forwarding
    return rules.why_unreachable(target.host, by_operator=target.by_operator, networks=networks)
