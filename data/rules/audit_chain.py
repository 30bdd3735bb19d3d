"""The chain of audit rows: each row's code covers every column of it, its place, and the code before it.

The code is a keyed hash (HMAC-SHA256). Anyone who does not hold the chain's key cannot add, change,
remove or move a row without breaking the chain after it.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

START = ""
"""Used as the code before a chain's first row."""
KEY_BYTES = 32
_FORM = "twofold audit row 1"

Value = str | int | None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many rows were ever written to it, and the last row's code."""

    chain: str
    seq: int
    mac: str


def next_head(key: bytes, head: Head, columns: Sequence[Value]) -> Head:
    """Return the head of a chain after one more row."""
    seq = head.seq + 1
    text = encoded((_FORM, head.chain, seq, head.mac, *columns))
    return Head(head.chain, seq, hmac.digest(key, text, sha256).hex())


def encoded(values: Sequence[Value]) -> bytes:
    """Encode values with their kind and length, so that no two sequences have the same encoding."""
    return b"".join(map(_encoded, values))


def _encoded(value: Value) -> bytes:
    if value is None:
        return b"n0:"
    kind = b"i" if isinstance(value, int) else b"s"
    text = str(value).encode("utf-8", "surrogatepass")
    return b"%b%d:%b" % (kind, len(text), text)
