"""Setting up an installation."""

from data.errors import ExplainedError
from data.operations.actors import Operator, find_account, in_account
from data.operations.audit import trail
from data.operations.derived_user_columns import reindex_practice
from data.operations.results import Denied, Done
from data.operations.users.lifecycle import NewUser, add_user
from data.rules import user_fields
from data.rules.audit_events import Event
from data.rules.domain_types import Mode
from data.storage import models
from data.store import Tx

FIRST_PRACTICE = "Main"


def install(tx: Tx, operator: Operator, account_name: str, admin: NewUser) -> Done | Denied:
    """Create the account, its first practice and its first administrator in an empty database."""
    if models.Account.select().exists():
        return Denied("This home is already initialised.")
    models.Installation.insert(key_check=tx.services.vault.check_value, created_at=tx.now).execute()
    result = create_account(tx, operator, account_name, admin)
    if not isinstance(result, Done):
        # No part of it may stay without its administrator.
        raise InstallRefusedError(result.message)
    return result


def create_account(
    tx: Tx, operator: Operator, account_name: str, admin: NewUser, practice: str = FIRST_PRACTICE
) -> Done | Denied:
    """Create an account with its first practice and its first administrator.

    A refusal may leave a part of it behind: the caller rolls that back.
    """
    name, practice_name = user_fields.tidy(account_name), user_fields.tidy(practice)
    if not name or not practice_name:
        return Denied(
            f"An account and a practice need a name of at most {user_fields.TEXT_LIMIT} characters."
        )
    if find_account(name) is not None:
        return Denied(f"The account {name} already exists. Choose another name.")
    account = models.Account.create(name=name, mode=Mode.OPTIONAL.value, created_at=tx.now)
    practice_id = models.Practice.insert(account=account, name=practice_name).execute()
    reindex_practice(practice_id, account.id, practice_name)
    acting = in_account(tx, operator, account)
    trail.record(acting, Event.ACCOUNT_CREATED, name=name)
    created = add_user(acting, admin)
    return Done(f"Account {name} created. {created.message}") if isinstance(created, Done) else created


class InstallRefusedError(ExplainedError):
    """The first administrator was refused; the whole installation is rolled back."""
