"""Why a connection was refused something: counted always, audited of whoever has passed the first factor.

Wrong passwords, keys and codes have rules of their own; here is what a client does beside them.
"""

from enum import StrEnum


class Misuse(StrEnum):
    """One kind of refusal, in the words of the audit log."""

    PROTOCOL = "the SSH protocol was violated"
    FLOOD = "more was sent than a connection may"
    UNREAD = "the screen was left unread"
    LATE = "the time to sign in was over"
    FAILURES = "too much was wrong in one connection"
    PACE = "too many connections were opened within a second"
    CROWD = "a new connection took the place of this one"
    FULL = "the server held as many connections as it can"
    NAME_CHANGED = "another user was named after the first factor"
    NOT_OFFERED = "a method was tried that is not offered after the first factor"
    BAD_ANSWER = "an answer was malformed or not asked for"
    FORWARDING = "forwarding was asked for"
    CHANNELS = "more channels were asked for than a connection may have"
