"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, steps of 30 seconds."""

import base64
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

import pyotp

SECRET_BYTES = 20
"""The length of a secret in bytes: the length of the HMAC's output, as RFC 4226 section 4 recommends."""
STEP_SECONDS = 30
DIGITS = 6
WINDOW = 1
"""Time steps accepted on either side of the present one (RFC 6238 section 5.2 allows one)."""
RESYNC_STEPS = 20
"""Time steps by which a phone can be off, either way, and still be resynced: ten minutes."""
ISSUER_LIMIT = 12
"""Characters of the issuer that still leave the QR code room on a terminal of 80x24."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The code is right and belongs to a time step that has not been accepted yet."""

    step: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """The code is right for a time step at or before the last accepted one."""

    step: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """The code belongs to no time step in the window."""


def encode_secret(raw: bytes) -> str:
    """Encode a secret in base32 without padding, as authenticator apps expect it."""
    return base64.b32encode(raw).decode("ascii").rstrip("=")


def decode_secret(secret: str) -> bytes:
    """Decode a secret from `encode_secret`."""
    return base64.b32decode(secret + "=" * (-len(secret) % 8))


def step_at(moment: datetime) -> int:
    """Return the time step that a moment falls in, counted from the Unix epoch."""
    return int(moment.timestamp()) // STEP_SECONDS


def code_at(secret: str, step: int) -> str:
    """Return the six digits for a time step of a base32 secret."""
    return _codes(secret).generate_otp(step)


def _codes(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)


def match_step(
    secret: str,
    code: str,
    *,
    at: datetime,
    after: int,
    window: int = WINDOW,
    barred: Collection[int] = (),
) -> Matched | Replayed | Unmatched:
    """Find the time step that a code belongs to.

    A step at or before `after`, the last accepted one, is dead (RFC 6238 section 5.2), and so is a barred
    one. A code that by chance belongs to both a dead and a live step in the window counts for the live
    one. Every step of the window is computed whatever the answer.
    """
    present, codes, typed = step_at(at), _codes(secret), code.encode("utf-8", "replace")
    hits = [
        step
        for step in range(max(0, present - window), present + window + 1)
        if compare_digest(codes.generate_otp(step).encode(), typed)
    ]
    live = [step for step in hits if step > after and step not in barred]
    if live:
        return Matched(live[0])
    return Replayed(hits[-1]) if hits else Unmatched()


def seconds_to_live_step(*, at: datetime, after: int) -> int:
    """Return the seconds until the authenticator shows a code for a live step."""
    first_live = max(after + 1, step_at(at))
    return max(0, first_live * STEP_SECONDS - int(at.timestamp()))


def clock_offset(secret: str, code: str, *, at: datetime, search_minutes: int = 10) -> int | None:
    """Estimate by how many seconds the clock behind a code differs from ours.

    Positive is ahead. None if the code belongs to no step within `search_minutes` on either side. Only
    for someone who was just shown the secret: to anyone else it would reveal which codes are nearly right.
    """
    present = step_at(at)
    reach = search_minutes * 60 // STEP_SECONDS
    for distance in range(reach + 1):
        for step in {present + distance, present - distance}:
            if step >= 0 and compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "replace")):
                return (step - present) * STEP_SECONDS
    return None


def drifted(moment: datetime, drift: int) -> datetime:
    """Return the time on a phone whose clock is some steps ahead."""
    return moment + timedelta(seconds=drift * STEP_SECONDS)


def match_lone(
    secret: str, code: str, *, at: datetime, after: int, barred: Collection[int] = ()
) -> int | None:
    """Find the nearest unused step within the reach of a resync that a code belongs to."""
    hits = [step for step in _resync_steps(at, after, barred) if _stands_for(secret, code, step)]
    present = step_at(at)
    return min(hits, key=lambda step: abs(step - present), default=None)


def match_pair(
    secret: str, first: str, second: str, *, at: datetime, after: int, barred: Collection[int] = ()
) -> int | None:
    """Find two consecutive unused steps within the reach of a resync; return the second one."""
    steps = _resync_steps(at, after, barred)
    hits = {
        step + 1
        for step in steps
        if _stands_for(secret, first, step) and _stands_for(secret, second, step + 1)
    }
    return min(hits & set(steps), default=None)


def _resync_steps(at: datetime, after: int, barred: Collection[int]) -> list[int]:
    present = step_at(at)
    reach = range(max(0, after + 1, present - RESYNC_STEPS), present + RESYNC_STEPS + 1)
    return [step for step in reach if step not in barred]


def _stands_for(secret: str, code: str, step: int) -> bool:
    return compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "replace"))


def provisioning_uri(secret: str, *, username: str, issuer: str) -> str:
    """Return the `otpauth://` address of a secret in the short form that all common apps read.

    Parameters with their default value are left out, which keeps the QR code small.
    """
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer[:ISSUER_LIMIT])


def grouped(secret: str) -> str:
    """Format a secret in groups of four for typing by hand."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
