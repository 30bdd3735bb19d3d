"""Applications that ask us, in words: what one is, and the questions before it is changed."""

from data.operations.applications.registry import ApplicationRow, NewSecret, State
from data.wording.words import Question, moment

IN_ITS_SETTINGS = "Put it into the application's settings."


def state_in_words(row: ApplicationRow) -> str:
    """Return whether an application is answered, and since when it is not if it was found guessing."""
    if row.state is not State.SUSPENDED:
        return row.state.value
    return f"suspended {moment(row.suspended_at)}: it sent wrong codes of many users"


def practices_in_words(row: ApplicationRow) -> str:
    """Return which practices an application serves."""
    return "all" if row.all_practices else ", ".join(row.practices) or "none"


def facts(row: ApplicationRow) -> list[tuple[str, str]]:
    """Return what an application is, as labels and values."""
    return [
        ("Name", row.name),
        ("Protocol", row.protocol.label),
        ("State", state_in_words(row)),
        ("Asks", row.asks.words),
        ("From", ", ".join(row.networks)),
        ("Practices", practices_in_words(row)),
        ("Without 2FA", "accepted by their password" if row.accept_without_2fa else "rejected"),
        *([("May send", "yes: codes by text message and e-mail")] if row.may_send else []),
        *([("Lenient", "yes: its packets need no Message-Authenticator")] if row.lenient else []),
        *((each.attribute.value, each.text) for each in row.told),
        ("Added", moment(row.created_at)),
        (row.protocol.secret.capitalize(), f"made {moment(row.rotated_at)}"),
    ]


def added(made: NewSecret) -> str:
    """Confirm that an application was added."""
    return f"Application {made.application} added."


def rotated(made: NewSecret) -> str:
    """Confirm that an application has a new secret."""
    return f"New {made.protocol.secret} made for application {made.application}."


def rotate(row: ApplicationRow) -> Question:
    """Describe making a new secret."""
    secret = row.protocol.secret
    return Question(
        f"New {secret} for {row.name}?",
        f"The current {secret} stops working at once. No one can sign in to {row.name} until the new one is "
        "in its settings.",
        "Rotate",
    )


def disable(row: ApplicationRow) -> Question:
    """Describe disabling an application."""
    return Question(
        f"Disable {row.name}?",
        f"No one can sign in to {row.name} until it is enabled again. Its {row.protocol.secret} is kept.",
        "Disable",
    )


def enable(row: ApplicationRow) -> Question:
    """Describe enabling an application that was suspended or disabled."""
    if row.state is not State.SUSPENDED:
        return Question(
            f"Enable {row.name}?", f"It is answered again, with the {row.protocol.secret} it has.", "Enable"
        )
    return Question(
        f"Enable {row.name}?",
        f"It was suspended {moment(row.suspended_at)}, because codes of many users were wrong within ten "
        "minutes. First find out who typed them: see Activity.",
        "Enable",
    )


def remove(row: ApplicationRow) -> Question:
    """Describe removing an application."""
    return Question(
        f"Remove {row.name}?",
        f"No one can sign in to {row.name} any more, and its {row.protocol.secret} stops working. Adding it "
        "again makes a new one.",
        "Remove",
    )
