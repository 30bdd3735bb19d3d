"""Where other applications ask one server."""

from dataclasses import dataclass

from data.authserver.http_settings import HttpSettings
from data.errors import ExplainedError


class RadiusPortError(ExplainedError):
    """RADIUS cannot be served on its address; the message says what to do, in one line."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(
            f"RADIUS cannot listen on {host}:{port}: {error.strerror}. Choose another address with --radius."
        )


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where HTTP and RADIUS are served; nowhere, where there is no host."""

    http: HttpSettings
    radius: tuple[str, int] = ("", 0)

    @property
    def shown(self) -> list[str]:
        """A line for each that is served."""
        host, port = self.radius
        shown = f"[{host}]" if ":" in host else host
        return [
            *([f"listening on {self.http.url}"] if self.http.host else []),
            *([f"radius on {shown}:{port}"] if host else []),
        ]
