"""Why a connection was refused something: always counted, and audited if its user passed the first factor.

Wrong passwords, keys and codes have their own rules; this is everything else that a client can do wrong.
"""

from enum import StrEnum


class Misuse(StrEnum):
    """One kind of refusal, in the words of the audit log."""

    PROTOCOL = "the SSH protocol was violated"
    FLOOD = "more data was sent than a connection may send"
    UNREAD = "the screen was left unread"
    LATE = "the time to sign in ran out"
    FAILURES = "too many failed attempts"
    PACE = "too many connections were opened within a second"
    CROWD = "a new connection took the place of this one"
    FULL = "the server had as many connections as it can hold"
    NAME_CHANGED = "another user was named after the first factor"
    NOT_OFFERED = "a method that is not offered after the first factor was tried"
    BAD_ANSWER = "an answer was malformed or unexpected"
    FORWARDING = "forwarding was requested"
    CHANNELS = "more channels were requested than a connection may have"
    SCANNING = "many hosts and ports were asked for that are not targets of this user"
