"""The key revocation list of an account: which of its certificates hosts must refuse before they end."""

from data.operations.actors import Acting, ActingOperator, find_account, resolve
from data.operations.certificates.authorities import NO_AUTHORITY, OPERATOR_ONLY, wire_form
from data.operations.guards import require_operator
from data.operations.results import Denied, SessionOver
from data.rules.revocation_lists import revocation_list
from data.rules.ssh_certificates import CLOCKS_DIFFER
from data.storage import models
from data.store import Tx


def read_revocation_list(tx: Tx, account_name: str) -> bytes | None:
    """Return an account's list in OpenSSH's format; None if no authority of such an account exists.

    Anybody may read it: it holds serials and nothing about anyone.
    """
    account = find_account(account_name)
    return None if account is None else _list_of(tx, account.id)


@require_operator(OPERATOR_ONLY)
def show_revocation_list(acting: ActingOperator) -> bytes | Denied | SessionOver:
    """Return the list of the account that the operator acts in."""
    here = resolve(acting.tx, acting.operator)
    if not isinstance(here, Acting):
        return here
    return _list_of(acting.tx, here.account_id) or NO_AUTHORITY


def _list_of(tx: Tx, account_id: int) -> bytes | None:
    """Make the list of an account, of its former authorities too; None if it never had one."""
    authorities, table = models.CertificateAuthority, models.Certificate
    mine = {
        row.id: wire_form(row)
        for row in authorities.select().where(authorities.account == account_id).order_by(authorities.id)
    }
    # Where a host's clock is behind, a certificate that has ended here has not ended there.
    lives = table.until > tx.now - CLOCKS_DIFFER
    withdrawn: dict[bytes, set[int]] = {key: set() for key in mine.values()}
    for row in table.select(table.serial, table.authority).where(
        table.authority.in_(list(mine)), lives, table.withdrawn_at.is_null(False)
    ):
        withdrawn[mine[row.authority_id]].add(row.serial)
    return revocation_list(withdrawn, tx.now) if mine else None
