"""What a check-up finds at the applications of an account."""

from data.operations.actors import Acting
from data.rules.doctor import ApplicationFacts, Finding, judge_applications
from data.storage import models


def check_applications(acting: Acting, account: str) -> tuple[Finding, ...]:
    """Judge the applications of the actor's account, which has this name."""
    table = models.Application
    rows = table.select().where(table.account == acting.account_id).order_by(table.name)
    facts = tuple(
        ApplicationFacts(row.name, row.enabled, row.suspended_at, row.accept_without_2fa, row.lenient)
        for row in list(rows)
    )
    return judge_applications(account, facts)


def suspended_applications(account_id: int) -> tuple[str, ...]:
    """Return the names of the applications of an account that are suspended."""
    table = models.Application
    rows = table.select(table.name).where(
        (table.account == account_id) & table.enabled & table.suspended_at.is_null(False)
    )
    return tuple(row.name for row in rows.order_by(table.name))
