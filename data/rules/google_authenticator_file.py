"""The file `~/.google_authenticator` of Google's PAM module, read for import.

Source: the module's own description of its file: the secret in base32 on the first line, then options,
each a line that begins with a quotation mark, then one scratch code of eight digits a line.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

MAX_BYTES = 65_536
SCRATCH_DIGITS = 8
MOST_SCRATCH_CODES = 10
_SHORTEST_SECRET = 10
"""Bytes: the oldest files have 80 bits. RFC 4226 section 4 requires 128, which later files have."""
_LONGEST_SECRET = 128
_STEP_SECONDS = "30"
_DIGITS = re.compile(r"[0-9]+\Z")
_SCRATCH = re.compile(rf"[1-9][0-9]{{{SCRATCH_DIGITS - 1}}}\Z")
_STEP = re.compile(r"[0-9]{1,12}")
"""A time step; the present one has eight digits."""
_MISREAD = str.maketrans({"0": "O", "1": "L", "8": "B", " ": None, "-": None})
"""How the module reads letters that people mistype."""
_HARMLESS = re.compile(r"RATE_LIMIT|WINDOW_SIZE|RESETTING_TIME_SKEW|LAST\d+")
"""Options that say how the module guards its file; here, the rules take their place."""


@dataclass(frozen=True, slots=True)
class AuthenticatorFile:
    """A file that can be imported; `last_step` is the last time step that was used, or -1.

    `left_out` counts the scratch codes that the module never reached.
    """

    secret: bytes = field(repr=False)
    scratch_codes: tuple[str, ...] = field(repr=False)
    last_step: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class FileFault:
    """Why a file cannot be imported; it names lines and options, and never a secret."""

    wrong: str


def read_file(raw: bytes) -> AuthenticatorFile | FileFault:
    """Read a file, and accept it only if everything in it can be honoured.

    The module stops at the first number that it does not take for a scratch code, such as one that begins
    with 0 (check_scratch_codes): later ones were never good, and are left out.
    """
    if len(raw) > MAX_BYTES:
        return FileFault("It is too large for a .google_authenticator file.")
    if b"\0" in raw or not raw.isascii():
        return FileFault("It is not a .google_authenticator file: it is not plain text.")
    lines = raw.decode("ascii").splitlines()
    secret = _secret(lines[0]) if lines else None
    if secret is None:
        return FileFault("Line 1 is not a secret in base32, so this is not a .google_authenticator file.")
    options: dict[str, str] = {}
    scratch: list[str] = []
    left_out = 0
    for number, line in enumerate(lines[1:], 2):
        text = line.strip()
        if text.startswith('"'):
            name, _, value = text[1:].strip().partition(" ")
            options[name] = value.strip()
        elif _SCRATCH.match(text) and not left_out:
            scratch.append(text)
        elif _DIGITS.match(text):
            left_out += 1
        elif text:
            return FileFault(f"Line {number} is neither an option nor a scratch code of eight digits.")
    if fault := _unhonoured(options, scratch):
        return FileFault(fault)
    last_step = max(map(int, _used_steps(options)), default=-1)
    return AuthenticatorFile(secret, tuple(dict.fromkeys(scratch)), last_step, left_out)


def _secret(line: str) -> bytes | None:
    """Decode the secret as the module does: bits that do not fill a byte are left out."""
    letters = line.strip().rstrip("=").upper().translate(_MISREAD)
    whole = len(letters) * 5 // 8
    try:
        padded = letters[: -(-whole * 8 // 5)]
        secret = base64.b32decode(padded + "=" * (-len(padded) % 8))
    except (binascii.Error, ValueError):
        return None
    return secret if _SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET else None


def _unhonoured(  # noqa: PLR0911 - one obstacle, one return.
    options: dict[str, str], scratch: list[str]
) -> str | None:
    """Return which part of a file has no counterpart here."""
    if "HOTP_COUNTER" in options:
        return "It is counter-based (HOTP_COUNTER). Only time-based codes can be imported."
    if "TOTP_AUTH" not in options:
        return "It does not say TOTP_AUTH, so its codes are not time-based."
    if options.get("STEP_SIZE", _STEP_SECONDS) != _STEP_SECONDS:
        return "Its codes do not change every 30 seconds (STEP_SIZE)."
    if options.get("TIME_SKEW", "0") != "0":
        return "The clock behind it is off (TIME_SKEW). Set the phone's clock, and remove that line."
    if not all(map(_STEP.fullmatch, _used_steps(options))):
        return "Its record of used codes is not a list of time steps (DISALLOW_REUSE)."
    if len(scratch) > MOST_SCRATCH_CODES:
        return f"It has more than {MOST_SCRATCH_CODES} scratch codes."
    known = {"TOTP_AUTH", "STEP_SIZE", "TIME_SKEW", "DISALLOW_REUSE"}
    strange = sorted(name for name in options if name not in known and not _HARMLESS.fullmatch(name))
    if strange:
        return f"It has unknown options: {', '.join(strange)}."
    return None


def _used_steps(options: dict[str, str]) -> list[str]:
    """Return the time steps that the file lists as used, while reuse is disallowed."""
    return options.get("DISALLOW_REUSE", "").split()
