"""An ssh-agent with keys that no file could hold: those of a security token, and those of somebody else."""

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_FAILURE, _IDENTITIES, _ANSWER, _SIGN, _SIGNATURE = 5, 11, 12, 13, 14
_APPLICATION = b"ssh:"
_TOUCHED = b"\x01"
_COUNTER = struct.pack(">I", 7)

Sign = Callable[[bytes], bytes]


def wire(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def blob_of(line: str) -> bytes:
    """Return the wire form of a public key or certificate."""
    return base64.b64decode(line.split()[1])


def ed25519_key() -> tuple[str, Sign]:
    """Make a key; return its public line, and what signs with it."""
    private = ed25519.Ed25519PrivateKey.generate()
    name, raw = b"ssh-ed25519", private.public_key().public_bytes_raw()
    return _line(name, raw), lambda data: wire(name, private.sign(data))


def token_key(algorithm: str) -> tuple[str, Sign]:
    """Make a key as a security token holds it (OpenSSH's PROTOCOL.u2f), which says that it was touched."""
    name = algorithm.encode()

    def signed(sign: Callable[[bytes], bytes], data: bytes) -> bytes:
        body = hashlib.sha256(_APPLICATION).digest() + _TOUCHED + _COUNTER + hashlib.sha256(data).digest()
        return wire(name, sign(body)) + _TOUCHED + _COUNTER

    if "ed25519" in algorithm:
        private = ed25519.Ed25519PrivateKey.generate()
        raw = private.public_key().public_bytes_raw()
        return _line(name, raw, _APPLICATION), lambda data: signed(private.sign, data)
    curve = ec.generate_private_key(ec.SECP256R1())
    point = curve.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def ecdsa(body: bytes) -> bytes:
        numbers = decode_dss_signature(curve.sign(body, ec.ECDSA(SHA256())))
        return wire(*(number.to_bytes(number.bit_length() // 8 + 1) for number in numbers))

    return _line(name, b"nistp256", point, _APPLICATION), lambda data: signed(ecdsa, data)


def _line(name: bytes, *parts: bytes) -> str:
    return f"{name.decode()} {base64.b64encode(wire(name, *parts)).decode()}"


@asynccontextmanager
async def key_agent(socket: Path, held: Mapping[str, Sign]) -> AsyncIterator[None]:
    """Offer public lines, keys or certificates, and sign for each as told."""
    signs = {blob_of(line): sign for line, sign in held.items()}

    def answer(asked: bytes) -> bytes:
        if asked[0] == _IDENTITIES:
            listed = b"".join(wire(blob, b"") for blob in signs)
            return bytes([_ANSWER]) + struct.pack(">I", len(signs)) + listed
        if asked[0] == _SIGN:
            blob, data = _strings(asked[1:])
            return bytes([_SIGNATURE]) + wire(signs[blob](data))
        return bytes([_FAILURE])

    async def serve(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">I", await reading.readexactly(4))
                writing.write(wire(answer(await reading.readexactly(length))))
        except asyncio.IncompleteReadError:
            writing.close()

    async with await asyncio.start_unix_server(serve, socket):
        yield


def _strings(packed: bytes) -> tuple[bytes, bytes]:
    """Read the two strings that a packet begins with."""
    found = []
    for _ in range(2):
        length = int.from_bytes(packed[:4])
        found.append(packed[4 : 4 + length])
        packed = packed[4 + length :]
    return found[0], found[1]
