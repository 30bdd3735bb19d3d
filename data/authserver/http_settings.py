"""Where HTTP is served, and what it needs there: no input or output."""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from data.errors import ExplainedError
from data.rules.source_addresses import Network

_PORT_DIGITS = 5
_MOST_PORT = 65_535


class HttpSettingsError(ExplainedError):
    """HTTP cannot be served like this; the message says what to do, in one line."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where HTTP is served; nowhere, if there is no host. Both files are set, or neither.

    `proxies` are the addresses whose `X-Forwarded-For` is believed.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxies: tuple[Network, ...] = ()

    def at(self, host: str, port: int) -> "HttpSettings":
        """Return these settings with another address."""
        return replace(self, host=host, port=port)

    @property
    def url(self) -> str:
        """The base URL, as it is printed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"

    def check(self) -> None:
        """Refuse to send passwords and codes over a network unprotected.

        Raises:
            HttpSettingsError: with what to do.
        """
        if not self.host:
            return
        if (self.certificate is None) != (self.key is None):
            raise HttpSettingsError("TLS needs both files: set certificate and key under [http].")
        if self.certificate is None and not is_loopback(self.host):
            raise HttpSettingsError(
                f"HTTP on {self.host} would send passwords and codes in the clear. Set certificate and key "
                "under [http], or listen on 127.0.0.1 behind a proxy that has TLS."
            )


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_listen(text: str) -> tuple[str, int] | None:
    """Read `HOST:PORT` or `[IPv6]:PORT`; port 0 picks a free one. None for anything else."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed):
        return None
    if not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port) <= _MOST_PORT):
        return None
    return (host[1:-1] if bracketed else host), int(port)
