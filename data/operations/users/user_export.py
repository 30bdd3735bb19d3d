"""Users as records for export, page by page."""

from dataclasses import dataclass
from datetime import datetime

from data.operations.actors import Acting
from data.operations.guards import require_permission
from data.operations.leases import hold_for_page
from data.operations.results import Denied
from data.operations.users.user_search import Cursor, UserQuery, find_users
from data.operations.users.user_summaries import roles_by_user
from data.rules.deadline import demand_of
from data.rules.domain_types import Role, Status
from data.rules.permissions import Action
from data.rules.user_status import Standing, status_of
from data.storage import models

PAGE = 500
EVERYONE = UserQuery(limit=PAGE)


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """What is known about a user, without any secret."""

    name: str
    email: str
    full_name: str
    phone: str | None
    practice: str
    require_2fa: bool
    roles: frozenset[Role]
    status: Status
    active: bool
    created_at: datetime
    last_signin_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExportPage:
    """A page of an export; `following` is where the next one starts, if there is one.

    `uncounted` says that a search found more users than it returns.
    """

    records: tuple[PersonRecord, ...]
    following: Cursor | None
    uncounted: bool


@require_permission(Action.SEE_PEOPLE)
def export_people(acting: Acting, query: UserQuery = EVERYONE) -> ExportPage | Denied:
    """Read a page of the users that a query finds.

    An actor has one export at a time, from the page without `after` to one that none follows.
    """
    found = find_users(acting, query)
    if refusal := hold_for_page(acting, first=query.after is None, last=found.following is None):
        return refusal
    table = models.User
    users = {
        row.id: row
        for row in table.select(table, models.Practice).join(models.Practice).where(table.id.in_(found.ids))
    }
    rows = [users[user_id] for user_id in found.ids]
    roles = roles_by_user(row.id for row in rows)
    demand = demand_of(acting.policy, acting.tx.now)
    records = tuple(
        PersonRecord(
            name=row.name,
            email=row.email,
            full_name=row.full_name,
            phone=row.phone,
            practice=row.practice.name,
            require_2fa=row.required,
            roles=roles.get(row.id, frozenset()),
            status=status_of(demand, Standing(row.standing), row.grace_from),
            active=row.active,
            created_at=row.created_at,
            last_signin_at=row.last_signin_at,
        )
        for row in rows
    )
    return ExportPage(records, found.following, bool(query.search) and found.uncounted)
