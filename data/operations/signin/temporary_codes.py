"""Temporary codes: one at a time beside a user's factors, with the form and the hash of a recovery code."""

from datetime import datetime

from data.operations.signin.recovery_codes import issue_codes
from data.rules import code_answers, recovery_codes
from data.rules.code_answers import Form
from data.storage import models
from data.storage.prepared_statements import PreparedWrite
from data.store import Tx


def issue_temporary_code(tx: Tx, user_id: int, until: datetime) -> str:
    """Give a user a temporary code, which voids an earlier one."""
    void_temporary_code(user_id)
    (code,) = issue_codes(tx, user_id, 1, expires_at=until)
    return code


def void_temporary_code(user_id: int) -> None:
    """Void the temporary code of a user who may have one."""
    _VOID.run_unanswered(user_id)


_VOID = PreparedWrite(
    1,
    lambda user_id: models.RecoveryCode.delete().where(
        (models.RecoveryCode.user == user_id) & models.RecoveryCode.expires_at.is_null(False)
    ),
)


def temporary_code_until(tx: Tx, user_id: int) -> datetime | None:
    """Return when a user's temporary code expires, if they have one that is still good."""
    table = models.RecoveryCode
    code = table.get_or_none((table.user == user_id) & table.used_at.is_null() & (table.expires_at > tx.now))
    return code.expires_at if code else None


def is_temporary_code(tx: Tx, user_id: int, typed: str) -> bool:
    """Whether an answer is the user's temporary code, used or not."""
    answer = code_answers.read(typed)
    parts = recovery_codes.parse(answer.text) if answer and answer.form is Form.RECOVERY_CODE else None
    if parts is None:
        return False
    table = models.RecoveryCode
    code = table.get_or_none(
        (table.user == user_id) & (table.selector == parts.selector) & table.expires_at.is_null(False)
    )
    return code is not None and tx.services.recovery_hasher.verify(code.secret_hash, parts.secret)
