"""A check-up of an installation: facts from the database, gathered for the rules that judge them."""

import shutil
from datetime import timedelta

from peewee import fn

from data.operations.actors import Acting, Operator, in_each_account
from data.operations.applications.findings import check_applications
from data.operations.certificates.findings import check_certificates, check_restored
from data.operations.certificates.withdrawal import reserved_since
from data.operations.maintenance import clock_jumps
from data.operations.results import Denied
from data.operations.secret_sealing import open_factor
from data.operations.signin.password_guessing import guessed_now
from data.operations.targets.registry import unreachable_targets
from data.operations.users.queries import has_factor, holds, people_in, shown_as
from data.rules import doctor
from data.rules.audit_events import Event
from data.rules.deadline import demand_of
from data.rules.doctor import AccountFacts, Finding, Level
from data.rules.domain_types import ADMIN_ROLES, Method, Role, Status
from data.storage import models
from data.storage.database import schema_differences
from data.storage.vault import SealBrokenError
from data.store import Tx

_DAY = timedelta(days=1)


def check_accounts(tx: Tx, operator: Operator) -> tuple[Finding, ...] | Denied:
    """Judge every account, or the one that the operator names."""
    accounts = in_each_account(tx, operator)
    if isinstance(accounts, Denied):
        return accounts
    return tuple(finding for acting in accounts for finding in _check_account(acting))


def check_database(tx: Tx) -> Finding:
    """Have the database check itself."""
    return doctor.judge_database(tuple(tx.database.faults()))


def check_schema(tx: Tx) -> Finding:
    """Compare the database's tables, triggers and views with the expected ones."""
    return doctor.judge_schema(schema_differences(tx.database))


def check_rotation(_tx: Tx) -> Finding | None:
    """Report whether a rotation of the master key was started but not finished."""
    return doctor.judge_rotation(begun=models.Installation.get().former_key_check is not None)


def check_secrets(tx: Tx) -> Finding:
    """Open every sealed secret; a broken one is reported by its user."""
    table = models.Factor
    rows = table.select(table, models.User).join(models.User).where(table.kind == Method.APP.value)
    sealed, broken = 0, []
    for factor in rows.iterator():
        sealed += 1
        try:
            open_factor(tx, factor)
        except SealBrokenError:
            broken.append(factor.user.name)
    return doctor.judge_secrets(sealed, tuple(sorted(broken)))


def check_clock(tx: Tx, operator: Operator) -> tuple[Finding, ...] | Denied:
    """Judge the clock by the newest record."""
    stuck = clock_jumps.list_stuck(tx, operator)
    if not isinstance(stuck, tuple):
        return stuck
    table = models.AuditEntry
    newest = table.select(fn.MAX(table.at)).scalar()
    there = clock_jumps.database_clock(tx)
    return doctor.judge_clock(tx.now, newest=newest, stuck=len(stuck), database_now=there)


def check_quickly(tx: Tx) -> tuple[Finding, ...]:
    """Return what is wrong among what costs little to check, so that it can be checked again and again."""
    newest, there = clock_jumps.newest_entry(tx), clock_jumps.database_clock(tx)
    findings = [check_rotation(tx), *doctor.judge_clock(tx.now, newest=newest, stuck=0, database_now=there)]
    if tx.services.home is not None:
        usage = shutil.disk_usage(tx.services.home)
        findings.append(doctor.judge_disk(usage.free, usage.total, str(tx.services.home)))
    return tuple(finding for finding in findings if finding and finding.level is not Level.FINE)


def check_lists(tx: Tx, operator: Operator) -> tuple[Finding, ...] | Denied:
    """Judge, where HTTP is not served, the accounts that issue certificates."""
    accounts = in_each_account(tx, operator)
    if isinstance(accounts, Denied):
        return accounts
    table = models.Account
    ours = table.id.in_([acting.account_id for acting in accounts])
    issuing = table.select().where(ours & (table.certificate_hours > 0)).order_by(table.name)
    return tuple(doctor.judge_lists(account.name) for account in issuing)


def check_sending(tx: Tx) -> Finding | None:
    """Judge how well codes were delivered in the last day."""
    table = models.AuditEntry
    failed = (table.event == Event.CODE_NOT_SENT.value) & (table.at > tx.now - _DAY)
    return doctor.judge_sending(table.select().where(failed).count())


def recipient(_tx: Tx) -> str | None:
    """Return an address to try delivery with: an active administrator's, or another user's."""
    table = models.User
    active = table.select(table.email).where(table.active)
    found = active.where(holds(*ADMIN_ROLES)).order_by(table.id).first() or active.order_by(table.id).first()
    return None if found is None else str(found.email)


def _check_account(acting: Acting) -> tuple[Finding, ...]:
    facts = _facts(acting)
    return (
        *doctor.judge_account(facts),
        *check_applications(acting, facts.name),
        *check_certificates(acting, models.Account.get_by_id(acting.account_id)),
        *check_restored(acting),
        *doctor.judge_reserved(facts.name, reserved_since(acting.tx, acting.account_id)),
        *doctor.judge_targets(facts.name, unreachable_targets(acting)),
    )


def _facts(acting: Acting) -> AccountFacts:
    table = models.User
    account, policy = models.Account.get_by_id(acting.account_id), acting.policy
    active = table.select().where((table.account == account.id) & table.active)
    locked, enrolled = table.locked_at.is_null(False), has_factor(policy.methods)
    admins = active.where(holds(*ADMIN_ROLES))

    waits = shown_as(demand_of(policy, acting.tx.now), Status.PENDING)
    return AccountFacts(
        name=account.name,
        mode=policy.mode,
        active=active.count(),
        unlockers=people_in(active.where(holds(Role.SYSTEM_ADMIN) & enrolled & ~locked)),
        locked_admins=people_in(admins.where(locked)),
        locked=people_in(active.where(locked)),
        unprotected_admins=people_in(admins.where(~enrolled)),
        pending=people_in(active.where(waits)),
        guessed=people_in(active.where(table.id.in_(guessed_now(acting.tx)))),
        unsendable=tuple(
            method for method in Method if method in policy.methods - {Method.APP} - acting.tx.services.sends
        ),
    )
