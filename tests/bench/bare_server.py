"""The server without a database that Twofold is compared with: asyncssh, a key and a code, in memory."""

import asyncio
import hmac
import sys
import time
from pathlib import Path

import asyncssh

from data.rules import totp
from data.rules.totp import code_at


class _Server(asyncssh.SSHServer):
    def __init__(self, key: asyncssh.SSHKey, secret: str) -> None:
        self._key, self._secret = key, secret
        self._proven = False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Answer the key with a partial success, as the product does."""
        succeed = conn.send_userauth_success

        async def after_key() -> None:
            if self._proven:
                await succeed()
            else:
                self._proven = True
                conn.send_userauth_failure(True)

        conn.send_userauth_success = after_key  # type: ignore[method-assign]

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return not self._proven

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key == self._key

    def kbdint_auth_supported(self) -> bool:
        return self._proven

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> tuple[object, ...]:
        return "", "", "", [("Verification code: ", False)]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
        right = code_at(self._secret, int(time.time()) // totp.STEP_SECONDS)
        return len(responses) == 1 and hmac.compare_digest(responses[0], right)


async def _serve(key_file: Path, secret: str) -> None:
    key = asyncssh.read_private_key(key_file).convert_to_public()
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Server(key, secret),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        encryption_algs=["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"],
    )
    print(f"listening on 127.0.0.1:{server.get_port()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
