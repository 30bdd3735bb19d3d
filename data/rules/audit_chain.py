"""The chain of audit rows: each row's code covers every column of it, its place, and the code before it.

The code is a keyed hash (HMAC-SHA256), so that whoever does not hold the chain's key can neither write
a row nor change, remove or move one without breaking the chain behind it.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

START = ""
"""What stands for the code before a chain's first row."""
KEY_BYTES = 32
_FORM = "twofold audit row 1"

Value = str | int | None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many rows were ever written to it, and the code of the last one."""

    chain: str
    seq: int
    mac: str


def next_head(key: bytes, head: Head, columns: Sequence[Value]) -> Head:
    """Return the head of a chain behind one more row."""
    seq = head.seq + 1
    text = encoded((_FORM, head.chain, seq, head.mac, *columns))
    return Head(head.chain, seq, hmac.digest(key, text, sha256).hex())


def encoded(values: Sequence[Value]) -> bytes:
    """Write values so that no two sequences of values are written alike: each with its kind and length."""
    return b"".join(map(_encoded, values))


def _encoded(value: Value) -> bytes:
    if value is None:
        return b"n0:"
    kind = b"i" if isinstance(value, int) else b"s"
    text = str(value).encode("utf-8", "surrogatepass")
    return b"%b%d:%b" % (kind, len(text), text)
