"""The timer of keep-alive requests is reset often enough, and not at each piece of input."""

import time
from typing import Any

import pytest

from sshserver.compat.asyncssh_keepalive import rarely_reset


class Connection:
    resets = 0

    def _reset_keepalive_timer(self) -> None:
        self.resets += 1


def test_a_request_comes_a_tenth_early_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = Connection()
    reset = rarely_reset(connection, 30.0)
    for now, resets in ((100.0, 1), (100.1, 1), (102.9, 1), (103.0, 2), (103.1, 2), (200.0, 3)):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        reset()
        assert connection.resets == resets
