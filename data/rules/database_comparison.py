"""What a database says about people and policies, and how two databases differ, to review a backup."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """How a person signs in, and what they may do.

    `factors` are the second factors and the recovery codes, each with its destination or selector, and
    its secret as it is stored.
    """

    account: str
    email: str
    phone: str | None
    active: bool
    required: bool
    password: str | None = field(repr=False)
    factors: frozenset[tuple[str, str, bytes]] = field(repr=False)
    roles: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The people of a database by their names, and the policy of each account in words."""

    people: Mapping[str, PersonFacts]
    policies: Mapping[str, str]


def role_holders(facts: DatabaseFacts) -> Iterator[tuple[str, PersonFacts]]:
    """Return the people who hold a role, by name."""
    return ((name, person) for name, person in sorted(facts.people.items()) if person.roles)


def differences(backup: DatabaseFacts, present: DatabaseFacts) -> Iterator[tuple[str, str]]:
    """Describe how a backup differs from the present data: an account or a person, and the difference."""
    for account in sorted(backup.policies.keys() | present.policies.keys()):
        there, now = backup.policies.get(account), present.policies.get(account)
        if there != now:
            yield account, f"policy {there or 'none'}; now {now or 'none'}"
    for name in sorted(backup.people.keys() | present.people.keys()):
        person, today = backup.people.get(name), present.people.get(name)
        if today is None:
            yield name, "in the backup only"
        elif person is None:
            yield name, "not in the backup"
        elif changes := list(_changes(person, today)):
            yield name, "; ".join(changes)


def _changes(person: PersonFacts, today: PersonFacts) -> Iterator[str]:
    for word, there, now in (("role", person.roles, today.roles), ("key", person.keys, today.keys)):
        if more := sorted(there - now):
            yield f"{word} more than now: {', '.join(more)}"
        if fewer := sorted(now - there):
            yield f"{word} missing: {', '.join(fewer)}"
    for word, is_other in (
        ("account", person.account != today.account),
        ("password", person.password != today.password),
        ("second factors", person.factors != today.factors),
        ("e-mail address", person.email != today.email),
        ("phone number", person.phone != today.phone),
    ):
        if is_other:
            yield f"other {word}"
    if person.active != today.active:
        yield "active in the backup" if person.active else "deactivated in the backup"
    if person.required != today.required:
        yield "2FA required in the backup" if person.required else "2FA not required in the backup"
