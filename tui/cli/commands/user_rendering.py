"""Users as the commands show them: as JSON, and as lines of text."""

from data.operations.users import user_summaries
from data.operations.users.principals import PrincipalRow
from data.operations.users.user_summaries import UserDetail, UserRow
from data.wording.principals import origin
from data.wording.user_lines import attempts_line
from data.wording.words import left_in_brackets
from tui.cli.text_tables import iso, when


def row_json(row: UserRow) -> dict[str, object]:
    """Return a row of the users table for JSON."""
    return {
        "name": row.name,
        "full_name": row.full_name,
        "email": row.email,
        "phone": row.phone,
        "practice": row.practice,
        "roles": sorted(row.roles),
        "status": row.status.value,
        "last_signin_at": iso(row.last_signin_at),
    }


def key_json(row: user_summaries.KeyRow) -> dict[str, object]:
    """Return a key for JSON."""
    return {
        "fingerprint": row.fingerprint,
        "algorithm": row.algorithm,
        "comment": row.comment,
        "added_at": iso(row.added_at),
        "last_used_at": iso(row.last_used_at),
    }


def principal_json(row: PrincipalRow) -> dict[str, object]:
    """Return a principal for JSON; `counts` is false for a reserved one that the operator did not give."""
    return {
        "principal": row.principal,
        "from": "name" if row.is_name else "practice" if row.practice else "user",
        "practice": row.practice or None,
        "counts": row.counts,
    }


def detail_json(detail: UserDetail) -> dict[str, object]:
    """Return all details of a user for JSON."""
    return {
        "name": detail.name,
        "full_name": detail.full_name,
        "email": detail.email,
        "phone": detail.phone,
        "practice": detail.practice,
        "account": detail.account,
        "roles": sorted(detail.roles),
        "status": detail.status.value,
        "days_left": detail.days_left,
        "required": detail.required,
        "active": detail.active,
        "locked_at": iso(detail.locked_at),
        "attempts_left": detail.attempts_left,
        "enrolled_at": iso(detail.enrolled_at),
        "methods": [row.method.value for row in detail.factors],
        "recovery_codes_left": detail.recovery_codes_left,
        "has_password": detail.has_password,
        "one_time_password": detail.one_time_until is not None,
        "one_time_until": iso(detail.one_time_until),
        "keys": [key_json(row) for row in detail.keys],
        "principals": [principal_json(row) for row in detail.principals],
        "resync_until": iso(detail.resync_until),
        "remembered": [
            {"address": row.address, "first_factor": row.first_factor, "until": iso(row.until)}
            for row in detail.remembered
        ],
        "created_at": iso(detail.created_at),
        "last_signin_at": iso(detail.last_signin_at),
    }


def detail_lines(detail: UserDetail) -> list[tuple[str, str]]:
    """Return all details of a user as labels and values, which are not yet safe to print."""
    until = detail.one_time_until
    password_state = f"one-time, valid until {when(until)}" if until else "set"
    return [
        ("Name", detail.name),
        ("Full name", detail.full_name or "-"),
        ("E-mail", detail.email),
        ("Phone", detail.phone or "-"),
        ("Practice", f"{detail.practice}, {detail.account}"),
        ("Roles", ", ".join(role.label for role in sorted(detail.roles)) or "-"),
        ("2FA", detail.status.value + left_in_brackets(detail.days_left)),
        ("Required", "yes" if detail.required else "no"),
        ("Set up", when(detail.enrolled_at)),
        ("Methods", ", ".join(row.method.label for row in detail.factors) or "-"),
        ("Recovery codes", f"{detail.recovery_codes_left} left" if detail.enrolled_at else "-"),
        ("Attempts left", attempts_line(detail)),
        ("Locked", when(detail.locked_at)),
        ("Password", password_state if detail.has_password else "none"),
        ("SSH keys", ", ".join(row.fingerprint for row in detail.keys) or "-"),
        *([("Principals", _principals_line(detail))] if detail.principals else []),
        ("Remembered", _remembered_line(detail)),
        ("Created", when(detail.created_at)),
        ("Last sign-in", when(detail.last_signin_at)),
    ]


def _principals_line(detail: UserDetail) -> str:
    return ", ".join(f"{row.principal} ({origin(row)})" for row in detail.principals)


def _remembered_line(detail: UserDetail) -> str:
    rows = [f"{row.address} ({row.first_factor}) until {when(row.until)}" for row in detail.remembered]
    return ", ".join(rows) or "-"
