"""What inviting and reminding by e-mail needs of the installation, whoever is invited."""

from data.operations.results import Denied
from data.rules.domain_types import Method, Policy
from data.store import Tx

_NO_MAIL = Denied(
    "No mail server is set in [smtp] of twofold.toml, so nothing can be sent. To hand over passwords on "
    "paper, the operator can use: twofold user invite --pending --csv FILE"
)
NO_ADDRESS = Denied(
    "The address where people sign in is not set. Set public_address in [server] of twofold.toml, such as "
    '"ssh.clinic.example:2222", and restart the server.'
)
_NO_HOST_KEY = Denied("The host key cannot be read, so no one could check it. Run: twofold doctor")
_ONLY_EMAIL = Denied(
    "E-mail is the only method that is on, so anyone who reads the mailbox would hold both factors. Turn "
    "on another method, or hand over passwords on paper: twofold user invite --pending --csv FILE"
)


def unavailable(tx: Tx, policy: Policy, *, invites: bool) -> Denied | None:
    """Return why no one at all can be invited or reminded by e-mail; None if they can."""
    if Method.EMAIL not in tx.services.sends:
        return _NO_MAIL
    if invites and only_email(policy):
        return _ONLY_EMAIL
    return no_address(tx)


def no_address(tx: Tx) -> Denied | None:
    """Return why users cannot be told where to sign in and which host key to trust; None if they can."""
    if tx.services.ssh is None:
        return NO_ADDRESS
    return None if tx.services.ssh.fingerprint else _NO_HOST_KEY


def only_email(policy: Policy) -> bool:
    """Whether anyone who reads an invited user's mailbox would hold both factors."""
    return policy.methods == {Method.EMAIL}
