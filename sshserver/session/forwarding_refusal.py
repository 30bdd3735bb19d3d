"""Forwarding of every kind, which is refused to everyone."""

import asyncssh

from data.rules.protocol_misuse import Misuse


class ForwardsNothing(asyncssh.SSHServer):
    """The part of a connection that asyncssh asks about forwarding."""

    def misused(self, what: Misuse) -> None:
        """Count a misuse."""
        raise NotImplementedError

    def connection_requested(self, *_destination: object) -> bool:
        """Forward no port."""
        return self._forwards_nothing()

    def server_requested(self, *_listener: object) -> bool:
        """Listen on no port."""
        return self._forwards_nothing()

    def unix_connection_requested(self, _path: str) -> bool:
        """Forward no socket."""
        return self._forwards_nothing()

    def unix_server_requested(self, _path: str) -> bool:
        """Listen on no socket."""
        return self._forwards_nothing()

    def tun_requested(self, _unit: int | None) -> bool:
        """Open no network interface."""
        return self._forwards_nothing()

    def tap_requested(self, _unit: int | None) -> bool:
        """Open no network interface."""
        return self._forwards_nothing()

    def _forwards_nothing(self) -> bool:
        self.misused(Misuse.FORWARDING)
        return False
