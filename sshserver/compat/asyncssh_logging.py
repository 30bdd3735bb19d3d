"""asyncssh's log without the work for messages that are not written.

asyncssh puts each message together, and each packet into words, before it asks whether anyone reads that.
"""

from typing import Any, cast

from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger


def install() -> None:
    """Use it for every connection of this process, on both sides.

    Packets are written at no level: they hold passwords.

    Raises:
        AttributeError: when the installed asyncssh is not the version that this was written for.
    """
    private = cast("Any", SSHPacketLogger)
    _ = private.log_sent_packet, private.log_received_packet
    private.log_sent_packet = private.log_received_packet = _log_no_packet
    if SSHLogger.log is not _log:
        cast("Any", SSHLogger).log = _log


def _log_no_packet(*_what: object) -> None:
    """Write nothing."""


_write = SSHLogger.log


def _log(self: SSHLogger, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
    if self.isEnabledFor(level):
        _write(self, level, msg, *args, **kwargs)
