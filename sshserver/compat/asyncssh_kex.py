"""Key exchange with ML-KEM without the key pair that only a client needs.

asyncssh makes one for each connection, on either side; a server takes the client's public key and answers
with a secret encrypted for it. That pair took a fifteenth of what SSH costs at a sign-in.
"""

from functools import cached_property
from typing import Any, cast

from asyncssh import kex
from asyncssh.crypto import pq


class _LazyKEM(pq._PyCAKEM):  # noqa: SLF001
    """Makes its private key when it is asked for."""

    def __init__(self, alg_name: bytes) -> None:
        pq._KEM.__init__(self, alg_name)  # noqa: SLF001
        self._priv_cls, self._pub_cls = pq._pyca_pq_alg_classes[alg_name]  # noqa: SLF001

    @cached_property
    def _priv_key(self) -> Any:
        return self._priv_cls.generate()


def install() -> None:
    """Use it for every key exchange of this process, on both sides; the self-test exchanges keys with it."""
    handlers = cast("dict[bytes, tuple[Any, ...]]", kex._kex_handlers)  # noqa: SLF001
    for name, (handler, digest, arguments) in handlers.items():
        lazy = tuple(_LazyKEM if each is pq._PyCAKEM else each for each in arguments)  # noqa: SLF001
        handlers[name] = (handler, digest, lazy)
