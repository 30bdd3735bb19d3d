"""The applications that ask by RADIUS, with what their packets are signed with."""

from dataclasses import dataclass, field
from ipaddress import ip_network

from data.operations.applications.asking import AskingApplication
from data.operations.applications.registry import secret_place
from data.rules.applications import Asks, Protocol
from data.rules.source_addresses import Network
from data.storage import models
from data.storage.prepared_statements import Prepared
from data.store import Tx


@dataclass(frozen=True, slots=True)
class RadiusClient:
    """An enabled application, and the secret that it shares with us.

    `lenient` says that its packets need no Message-Authenticator.
    """

    id: int
    name: str
    asks: Asks
    may_send: bool
    lenient: bool
    networks: tuple[Network, ...]
    secret: bytes = field(repr=False)

    def asking_from(self, address: str) -> AskingApplication:
        """Return who asks, once a packet from this address is known to be its own."""
        return AskingApplication(self.id, self.name, self.asks, self.may_send, address)


_ENABLED = Prepared(
    models.Application,
    1,
    lambda protocol: (
        models.Application.select()
        .where((models.Application.protocol == protocol) & models.Application.enabled)
        .order_by(models.Application.name)
    ),
)


def radius_clients(tx: Tx) -> tuple[RadiusClient, ...]:
    """Read the enabled applications that ask by RADIUS, by name."""
    vault = tx.services.vault
    return tuple(
        RadiusClient(
            row.id,
            row.name,
            Asks(row.asks),
            row.may_send,
            row.lenient,
            tuple(ip_network(network) for network in row.networks.split()),
            vault.open_at(secret_place(row.id), bytes(row.sealed_secret or b"")),
        )
        for row in _ENABLED.all(Protocol.RADIUS.value)
    )
