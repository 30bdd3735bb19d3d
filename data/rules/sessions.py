"""How long a session lasts at most, whatever is done in it."""

from datetime import datetime, timedelta
from typing import Final

LONGEST: Final = timedelta(hours=12)
"""As in NIST SP 800-63B (revision 3, section 4.2.3) for two factors; ASVS 5.0 7.3.2 asks for a limit."""


def outlived(started_at: datetime, now: datetime, longest: timedelta) -> str | None:
    """Say to its user why a session that has lasted too long is over; None while it has not."""
    if now - started_at < longest:
        return None
    hours = longest / timedelta(hours=1)
    return f"Signed out: a session lasts {hours:g} hours at most. Sign in again."
