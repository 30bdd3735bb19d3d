"""What a database says about users and policies, read in full to compare it with another one."""

from collections import defaultdict

from data.rules.database_comparison import DatabaseFacts, PersonFacts
from data.storage import models
from data.store import Tx


def describe(_tx: Tx) -> DatabaseFacts:
    """Read every account's policy, and how each user signs in."""
    users, accounts = models.User, models.Account
    roles, keys, factors = defaultdict(set), defaultdict(set), defaultdict(set)
    for role in models.UserRole.select():
        roles[role.user_id].add(role.role)
    for key in models.PublicKey.select(models.PublicKey.user, models.PublicKey.fingerprint):
        keys[key.user_id].add(key.fingerprint)
    for factor in models.Factor.select():
        factors[factor.user_id].add((factor.kind, factor.destination or "", bytes(factor.sealed_secret)))
    # No temporary code outlives a restore.
    for code in models.RecoveryCode.select().where(models.RecoveryCode.expires_at.is_null()):
        factors[code.user_id].add(("recovery code", code.selector, code.secret_hash.encode()))
    names = {account.id: account.name for account in accounts.select()}
    return DatabaseFacts(
        {
            user.name: PersonFacts(
                names[user.account_id],
                user.email,
                user.phone,
                user.active,
                user.required,
                user.password_hash,
                frozenset(factors[user.id]),
                frozenset(roles[user.id]),
                frozenset(keys[user.id]),
            )
            for user in users.select().iterator()
        },
        {account.name: _policy(account) for account in accounts.select()},
    )


def _policy(account: models.Account) -> str:
    methods = [
        word
        for word, is_on in (
            ("app", account.app_on),
            ("text messages", account.sms_on),
            ("e-mail", account.email_on),
        )
        if is_on
    ]
    days = account.remember_days
    return f"mode {account.mode}, methods {', '.join(methods) or 'none'}, addresses remembered {days} days"
