"""What decides on a connection in asyncssh's place, by private names: the version is pinned for them.

asyncssh has no server-side partial success. Here every path to success, including a `begin_auth` that
returns False, must pass a decision of ours before a byte of it is sent: the methods are shadowed on the
connection's instance before its first packet is read. If a method is missing, the server does not start;
the check is never skipped.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import asyncssh
from asyncssh.auth import _ServerKbdIntAuth
from asyncssh.packet import PacketDecodeError, SSHPacket, String, UInt32
from asyncssh.public_key import KeyImportError, SSHKey, decode_ssh_public_key

from sshserver.algorithms import has_gcm, narrow_ciphers, processor_has_aes
from sshserver.compat.asyncssh_jumps import DataReceiver
from sshserver.compat.asyncssh_keepalive import rarely_reset
from sshserver.compat.asyncssh_saslprep import SASLPrepError, prepare
from sshserver.compat.hooks import AuthOutcome, ChannelHooks, TransportHooks, UserAuthHooks
from sshserver.limits.limit_values import Limits

_VERSION: Final = "2.24.1"
_SHADOWED: Final = {
    "send_userauth_success": ["self"],
    "send_userauth_failure": ["self", "partial_success"],
    "send_newkeys": ["self", "k", "h"],
    "_send_kexinit": ["self"],
    "validate_public_key": ["self", "username", "key_data", "msg", "signature"],
    "reload_config": ["self"],
    "pause_writing": ["self"],
    "resume_writing": ["self"],
    "data_received": ["self", "data", "datatype"],
    "process_packet": ["self", "pkttype", "pktid", "packet"],
    "send_userauth_packet": ["self", "pkttype", "args", "handler", "trivial"],
    "_finish_recv_packet": ["self", "pkttype", "seq", "_task", "is_async"],
    "_send": ["self", "data"],
    "send_packet": ["self", "pkttype", "args", "handler"],
    "_recv_pkthdr": ["self"],
    "_reset_keepalive_timer": ["self"],
    "_process_session_open": ["self", "packet"],
    "_process_direct_tcpip_open": ["self", "packet"],
}
_ELSEWHERE: Final = (
    (asyncssh.SSHServerChannel, "_process_env_request"),
    (asyncssh.SSHServerChannel, "_process_exec_request"),
    (asyncssh.SSHServerChannel, "_start_session"),
    (_ServerKbdIntAuth, "process_packet"),
)
_ATTRIBUTES: Final = (
    "_next_service",
    "_max_recv_pktlen",
    "_transport",
    "_inpbuf",
    "_client_version",
    "_session_id",
    "_enc_algs",
    "_deferred_packets",
    "_kex_complete",
)
_FIRST_BYTES: Final = b"SSH-"
"""A client speaks first and sends nothing before this (RFC 4253 section 4.2)."""
_IGNORE: Final = 2
"""From RFC 4253."""
_KEXINIT: Final = 20
_COOKIE_BYTES: Final = 16
"""From RFC 4253 section 7.1."""
_LIST_SECONDS: Final = 0.2
"""How long the client's list of algorithms is waited for; its version says that it sends it at once."""
_KEPT_BYTES: Final = 1024
"""What an answer counts that waits for the end of a key exchange; data do not wait there."""
_FULL_SOCKET: Final = "socket"
_NEW_KEYS: Final = "keys"
_USERAUTH_REQUEST: Final = 50
"""From RFC 4252."""
_INFO_REQUEST, _INFO_RESPONSE = 60, 61
"""From RFC 4256."""
_NOBODY: Final = b"?"
"""No user can have this name."""
_LONGEST_NAME: Final = 1023
"""Longest name, in bytes, that asyncssh processes. It disconnects for a longer one, which costs nothing."""
_RSA_SIGNATURES: Final = {b"rsa-sha2-256", b"rsa-sha2-512"}
"""The signatures accepted from RSA keys (RFC 8332); other keys sign under the name of their type."""


HOOKS: Final = frozenset(
    {
        "send_userauth_success",
        "send_userauth_failure",
        "send_newkeys",
        "_send_kexinit",
        "validate_public_key",
        "reload_config",
        "data_received",
        "process_packet",
        "send_userauth_packet",
        "_finish_recv_packet",
        "_send",
        "send_packet",
        "_recv_pkthdr",
        "_reset_keepalive_timer",
        "_process_session_open",
        "_process_env_request",
    }
)
"""What asyncssh must call during a sign-in and the start of a channel."""
called: Final[set[str]] = set()
"""The hooks that were called; the self-test clears this, then expects all of them."""


class ShimError(RuntimeError):
    """The installed asyncssh is not the version that this file was written for."""


def check() -> None:
    """Compare the installed asyncssh with the version that this file was written for.

    Raises:
        ShimError: when the version, a method or its parameters differ.
    """
    if asyncssh.__version__ != _VERSION:
        raise ShimError(f"asyncssh {_VERSION} is needed, {asyncssh.__version__} is installed")
    for name, parameters in _SHADOWED.items():
        method = getattr(asyncssh.SSHServerConnection, name, None)
        if method is None or list(inspect.signature(method).parameters) != parameters:
            raise ShimError(f"asyncssh has changed: {name}")
    for owner, name in _ELSEWHERE:
        if not hasattr(owner, name):
            raise ShimError(f"asyncssh has changed: {name}")


def install(
    connection: asyncssh.SSHServerConnection,
    limits: Limits,
    transport: TransportHooks,
    userauth: UserAuthHooks,
    channels: ChannelHooks,
) -> None:
    """Put the hooks in charge of a connection; must be called from `connection_made`.

    This also bounds the packets before a channel is open, and how much is read at a time. `check` must have
    passed; it runs when the server starts, because it takes longer than everything here.

    Raises:
        ShimError: when asyncssh is not the version that this was written for.
    """
    private = cast("Any", connection)
    missing = any(not hasattr(private, name) for name in _ATTRIBUTES)
    if missing or private._max_recv_pktlen < limits.packet_bytes:  # noqa: SLF001
        raise ShimError("asyncssh has changed: the connection's attributes")
    _judge_success(connection, userauth)
    _judge_keys(connection, userauth)
    _judge_input(connection, transport)
    _judge_progress(connection, userauth)
    _take_other_encodings(connection)
    _judge_channels(connection, limits)
    _prefer_gcm(connection)
    _hold_while_keys_are_exchanged(connection, channels)
    _write_unless_closing(connection)
    _leave_out_ignored(connection)
    _hook(private, "_recv_pkthdr", DataReceiver(connection))
    _hook(private, "_reset_keepalive_timer", rarely_reset(connection, limits.keepalive_seconds))

    async def reload_config() -> None:
        """Keep the options: no setting of ours depends on the user's name."""

    _hook(private, "reload_config", reload_config)
    private.pause_writing = partial(channels.hold, _FULL_SOCKET)
    private.resume_writing = partial(channels.release, _FULL_SOCKET)
    private._max_recv_pktlen = limits.packet_bytes  # noqa: SLF001
    private._transport.max_size = transport.read_bytes  # noqa: SLF001 - asyncio's, see _judge_input.


def _judge_success(connection: asyncssh.SSHServerConnection, hooks: UserAuthHooks) -> None:
    private = cast("Any", connection)
    succeed = connection.send_userauth_success
    fail = connection.send_userauth_failure

    async def send_userauth_success() -> None:
        match hooks.outcome:
            case AuthOutcome.SUCCESS:
                await succeed()
            case AuthOutcome.PARTIAL_SUCCESS:
                send_userauth_failure(partial_success=True)
            case _:
                send_userauth_failure(partial_success=False)

    def send_userauth_failure(partial_success: bool) -> None:
        fail(partial_success)
        # Some clients (paramiko) request the service again before each method, as sshd allows.
        private._next_service = b"ssh-userauth"  # noqa: SLF001
        hooks.refused(partial=partial_success)

    _hook(private, "send_userauth_success", send_userauth_success)
    _hook(private, "send_userauth_failure", send_userauth_failure)


def _judge_keys(connection: asyncssh.SSHServerConnection, hooks: UserAuthHooks) -> None:
    private = cast("Any", connection)
    offered: tuple[bytes, SSHKey | None] = b"", None

    async def validate_public_key(_username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        nonlocal offered
        if offered[0] != key_data:  # Most clients ask whether a key is acceptable, then sign with it.
            offered = key_data, _decode(key_data)
        key = offered[1]
        if not msg or key is None:
            return await hooks.key_offered(key, None)
        return await hooks.key_offered(key, lambda: _verify(private, key, msg, signature))

    _hook(private, "validate_public_key", validate_public_key)


def _judge_input(connection: asyncssh.SSHServerConnection, hooks: TransportHooks) -> None:
    private = cast("Any", connection)
    receive = connection.data_received

    def data_received(data: bytes, datatype: int | None = None) -> None:
        transport, waiting = private._transport, private._inpbuf  # noqa: SLF001
        if transport is None:
            return
        spoken = private._client_version or (waiting + data)[: len(_FIRST_BYTES)]  # noqa: SLF001
        if not spoken.startswith(_FIRST_BYTES[: len(spoken)]):
            hooks.speaks_no_ssh()
        elif hooks.takes(len(data), len(waiting), _unsent_bytes(private)):
            begun = time.perf_counter()
            receive(data, datatype)
            rest = hooks.charge(time.perf_counter() - begun, len(data))
            transport.max_size = hooks.read_bytes  # asyncio's, which takes turns by it.
            if rest > 0:
                transport.pause_reading()
                asyncio.get_running_loop().call_later(rest, transport.resume_reading)

    _hook(private, "data_received", data_received)


def _unsent_bytes(private: Any) -> int:
    """Return how much waits to be sent: for the client to read, or for the end of a key exchange."""
    kept = len(private._deferred_packets) * _KEPT_BYTES  # noqa: SLF001
    return int(private._transport.get_write_buffer_size()) + kept  # noqa: SLF001


def _judge_progress(connection: asyncssh.SSHServerConnection, hooks: UserAuthHooks) -> None:
    private = cast("Any", connection)
    send_newkeys = connection.send_newkeys
    finish = private._finish_recv_packet  # noqa: SLF001

    def finish_packet(pkttype: int, *args: Any, **kwargs: Any) -> None:
        # If several answers arrive together, asyncssh silently judges only the last.
        if pkttype == _INFO_RESPONSE:
            hooks.answered()
        finish(pkttype, *args, **kwargs)

    def finish_key_exchange(k: bytes, h: bytes) -> None:
        # The client's NEWKEYS comes later: a person may have to check the host key first.
        send_newkeys(k, h)
        hooks.keys_exchanged()

    _hook(private, "send_newkeys", finish_key_exchange)
    _hook(private, "_finish_recv_packet", finish_packet)


def _take_other_encodings(connection: asyncssh.SSHServerConnection) -> None:
    """Judge names and answers that are not UTF-8 like any other, where asyncssh would hang up."""
    private = cast("Any", connection)
    process = private.process_packet
    send = private.send_userauth_packet

    def process_packet(pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        return process(pkttype, pktid, _with_name(packet) if pkttype == _USERAUTH_REQUEST else packet)

    def send_userauth_packet(pkttype: int, *args: bytes, handler: Any = None, trivial: bool = True) -> None:
        if pkttype == _INFO_REQUEST and isinstance(handler, _ServerKbdIntAuth):
            _decode_answers(handler)
        send(pkttype, *args, handler=handler, trivial=trivial)

    private.process_packet = process_packet
    _hook(private, "send_userauth_packet", send_userauth_packet)


def _decode_answers(exchange: Any) -> None:
    """Replace what is not UTF-8 in the answers of an exchange with U+FFFD."""
    if "process_packet" in vars(exchange):
        return
    process = exchange.process_packet

    def process_packet(pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        if pkttype != _INFO_RESPONSE:
            return process(pkttype, pktid, packet)
        count = packet.get_uint32()
        answers = [String(packet.get_string().decode("utf-8", "replace")) for _ in range(count)]
        decoded = UInt32(count) + b"".join(answers) + packet.get_remaining_payload()
        return process(pkttype, pktid, SSHPacket(decoded))

    _hook(exchange, "process_packet", process_packet)


def _with_name(packet: SSHPacket) -> SSHPacket:
    """Return a sign-in request with a name that asyncssh can read, if it holds one that no user can have."""
    request = SSHPacket(packet.get_remaining_payload())
    try:
        name = request.get_string()
        if len(name) <= _LONGEST_NAME:  # The time of saslprep grows with the square of the length.
            prepare(name.decode("utf-8"))
    except PacketDecodeError:
        return packet
    except (UnicodeDecodeError, SASLPrepError):
        return SSHPacket(String(_NOBODY) + request.get_remaining_payload())
    return packet


def _judge_channels(connection: asyncssh.SSHServerConnection, limits: Limits) -> None:
    """Refuse a channel whose client accepts only tiny packets: each costs as much as a large one."""
    for name in ("_process_session_open", "_process_direct_tcpip_open"):
        _hook(connection, name, _with_large_packets(getattr(connection, name), limits))


def _with_large_packets(
    open_channel: Callable[[SSHPacket], Any], limits: Limits
) -> Callable[[SSHPacket], Any]:
    def process_open(packet: SSHPacket) -> Any:
        asked = SSHPacket(packet.get_full_payload())
        asked.get_byte()
        asked.get_string()
        _channel, _window, packet_bytes = asked.get_uint32(), asked.get_uint32(), asked.get_uint32()
        if packet_bytes < limits.client_packet_bytes:
            words = f"The maximum packet size must be at least {limits.client_packet_bytes} bytes."
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, words)
        return open_channel(packet)

    return process_open


def _prefer_gcm(connection: asyncssh.SSHServerConnection) -> None:
    """Offer AES-GCM alone to a client that has it, where the processor has AES.

    What the client was told to use, only its own list says. It is waited for, so that a client whose user
    chose another cipher gets that. Another key exchange of a connection offers what the first one did.
    """
    private = cast("Any", connection)
    send_kexinit = private._send_kexinit  # noqa: SLF001

    def send_list() -> None:
        known = private._session_id or not has_gcm(private._client_version)  # noqa: SLF001
        if known or not processor_has_aes():
            send_kexinit()
            return
        process = private.process_packet
        late = asyncio.get_running_loop().call_later(_LIST_SECONDS, lambda: send_narrowed(None))

        def send_narrowed(theirs: frozenset[bytes] | None) -> None:
            late.cancel()
            private.process_packet = process
            private._enc_algs = narrow_ciphers(private._enc_algs, theirs)  # noqa: SLF001
            send_kexinit()

        def process_packet(pkttype: int, pktid: int, packet: SSHPacket) -> Any:
            if pkttype == _KEXINIT:
                send_narrowed(_ciphers(packet))
            return process(pkttype, pktid, packet)

        private.process_packet = process_packet

    _hook(private, "_send_kexinit", send_list)


def _hold_while_keys_are_exchanged(connection: asyncssh.SSHServerConnection, channels: ChannelHooks) -> None:
    """Have nothing written until then: asyncssh keeps all of it, and a client need never get on with it."""
    private = cast("Any", connection)
    send_kexinit, send_newkeys = private._send_kexinit, private.send_newkeys  # noqa: SLF001

    def begin() -> None:
        channels.hold(_NEW_KEYS)
        send_kexinit()

    def finish(k: bytes, h: bytes) -> None:
        send_newkeys(k, h)
        if private._kex_complete:  # noqa: SLF001 - What was kept may have led to the next exchange.
            channels.release(_NEW_KEYS)

    private._send_kexinit = begin  # noqa: SLF001
    private.send_newkeys = finish


def _ciphers(packet: SSHPacket) -> frozenset[bytes]:
    """Return the ciphers a client lists for both directions; none of a malformed list, which ends it."""
    listed = SSHPacket(packet.get_remaining_payload())
    try:
        listed.get_bytes(_COOKIE_BYTES)
        _exchanges, _keys, sent, received = (listed.get_namelist() for _ in range(4))
    except PacketDecodeError:
        return frozenset()
    return frozenset(sent) & frozenset(received)


def _write_unless_closing(connection: asyncssh.SSHServerConnection) -> None:
    """Drop what is written after the client is gone: asyncio would log a line for each write."""
    private = cast("Any", connection)
    send = private._send  # noqa: SLF001

    def send_unless_closing(data: bytes) -> None:
        if private._transport is not None and not private._transport.is_closing():  # noqa: SLF001
            send(data)

    _hook(connection, "_send", send_unless_closing)


def _leave_out_ignored(connection: asyncssh.SSHServerConnection) -> None:
    """Send no SSH_MSG_IGNORE before each packet, which doubles what a packet costs.

    It helps against a weakness of CBC alone (RFC 4251 section 9.3.1), and no cipher in this mode is offered.
    """
    send_packet = connection.send_packet

    def send_unless_ignored(pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype != _IGNORE:
            send_packet(pkttype, *args, handler=handler)

    _hook(connection, "send_packet", send_unless_ignored)


def _hook(target: object, name: str, function: Callable[..., Any]) -> None:
    """Shadow a method on an instance, and record its first call from outside."""
    if name in called:
        setattr(target, name, function)
        return

    def noted(*args: Any, **kwargs: Any) -> Any:
        called.add(name)
        return function(*args, **kwargs)

    setattr(target, name, noted)


def look_no_further(connection: asyncssh.SSHServerConnection) -> None:
    """Drop received data: asyncssh would keep processing it after the connection is closed."""
    cast("Any", connection)._inpbuf = b""  # noqa: SLF001


def limit_environment(
    channel: "asyncssh.SSHServerChannel[bytes]", keeps: Callable[[str, str, int], bool]
) -> dict[str, str]:
    """Return a mapping that fills with the variables that `keeps(name, value, number kept)` accepts."""
    kept: dict[str, str] = {}

    def process_env_request(packet: SSHPacket) -> bool:
        name = packet.get_string().decode("ascii", "replace")
        value = packet.get_string().decode("utf-8", "replace")
        packet.check_end()
        if not keeps(name, value, len(kept)):
            return False
        kept[name] = value
        return True

    _hook(channel, "_process_env_request", process_env_request)
    return kept


def take_other_encodings(channel: "asyncssh.SSHServerChannel[bytes]") -> None:
    """Accept commands in any encoding: what is not UTF-8 arrives as lone surrogates (PEP 383)."""
    private = cast("Any", channel)

    def process_exec_request(packet: SSHPacket) -> bool:
        command = packet.get_string().decode("utf-8", "surrogateescape")
        packet.check_end()
        return bool(private._start_session(command=command))  # noqa: SLF001

    _hook(channel, "_process_exec_request", process_exec_request)


def _decode(key_data: bytes) -> SSHKey | None:
    """Return a plain public key; None for anything else, such as a certificate."""
    try:
        return decode_ssh_public_key(key_data)
    except (KeyImportError, ValueError):
        return None


def _verify(connection: Any, key: SSHKey, msg: bytes, signature: bytes) -> bool:
    """Return whether a login signature is valid (RFC 4252 section 7); RSA keys must use SHA-2."""
    allowed = _RSA_SIGNATURES if key.algorithm == b"ssh-rsa" else {key.algorithm}
    try:
        if SSHPacket(signature).get_string() not in allowed:
            return False
        key.set_touch_required(True)
        return key.verify(String(connection._session_id) + msg, signature)  # noqa: SLF001
    except (PacketDecodeError, ValueError):
        return False
