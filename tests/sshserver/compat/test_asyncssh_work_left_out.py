"""What asyncssh does for nothing and is left out: names and log lines stay as they are with it."""

import logging

import asyncssh
import pytest
from asyncssh.saslprep import SASLPrepError, saslprep
from hypothesis import given
from hypothesis import strategies as st

from sshserver.compat import asyncssh_logging, asyncssh_saslprep


@given(st.text(max_size=20) | st.text(st.characters(max_codepoint=0xFF), max_size=20))
def test_a_name_is_prepared_as_by_asyncssh(name: str) -> None:
    try:
        expected = saslprep(name)
    except SASLPrepError:
        with pytest.raises(SASLPrepError):
            asyncssh_saslprep.prepare(name)
    else:
        assert asyncssh_saslprep.prepare(name) == expected


@pytest.mark.parametrize("code", range(128))
def test_an_ascii_character_is_prepared_as_by_asyncssh(code: int) -> None:
    test_a_name_is_prepared_as_by_asyncssh.hypothesis.inner_test(chr(code))


def test_a_warning_is_still_written_and_nothing_below_it(caplog: pytest.LogCaptureFixture) -> None:
    asyncssh_logging.install()
    asyncssh.set_log_level(logging.WARNING)
    log = asyncssh.logging.logger.get_child(context="conn=1")
    log.debug1("Sent %s", b"a password")
    log.info("Auth for user %s", "a password")
    log.warning("Lost %s", ("192.0.2.1", 22))
    assert caplog.messages == ["[conn=1] Lost 192.0.2.1, port 22"]


def test_packets_are_written_at_no_level(caplog: pytest.LogCaptureFixture) -> None:
    """They hold passwords."""
    asyncssh_logging.install()
    asyncssh.set_log_level(logging.DEBUG)
    asyncssh.set_debug_level(3)
    try:
        handler = asyncssh.packet.SSHPacketHandler()
        handler.log_sent_packet(61, 1, b"a password")
        handler.log_received_packet(61, 1, asyncssh.packet.SSHPacket(b"a password"))
    finally:
        asyncssh.set_log_level(logging.WARNING)
        asyncssh.set_debug_level(1)
    assert caplog.messages == []
