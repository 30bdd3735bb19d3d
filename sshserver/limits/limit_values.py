"""Every number that bounds what a client may take from the server."""

from dataclasses import dataclass

from data.rules.public_keys import RSA_MIN_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one node; times are in seconds unless the name says otherwise."""

    wrong_answers: int = 10
    """Wrong passwords, wrong codes, malformed answers and bad signatures of one connection together.

    They are enough for the seven wrong codes that lock after three wrong passwords: who types them is
    told of the lock, and is not hung up on before.
    """
    unknown_keys: int = 20
    """Public keys that are not the user's; agents hold many."""
    wrong_answers_per_exchange: int = 3
    """Wrong answers of any kind after which a keyboard-interactive exchange fails.

    A client that repeats itself comes to an end by it; a person's `ssh` begins another exchange by itself.
    """
    sign_in_requests: int = 100
    """Requests and refusals of any kind before sign-in, so that free ones are not endless either."""
    password_characters: int = 1024

    key_exchange_seconds: float = 10.0
    """Time for the client's part of the key exchange; people who compare fingerprints do so after it."""
    first_factor_seconds: float = 60.0
    second_factor_seconds: float = 300.0
    sent_code_seconds: float = 900.0
    """Time to answer from when a code was sent: as long as the code is good."""
    connections_per_second: int = 200
    """Connections that one IPv4 address or IPv6 /64 may open in a second; the others are hung up on."""
    connections_per_source: int = 10
    """Connections of one IPv4 address or IPv6 /64 that have not passed the first factor."""
    unauthenticated_connections: int = 200
    """Connections in all that have not passed the first factor."""
    spared_seconds: float = 2.0
    """How long a new connection makes no room while there are older ones that exchange keys."""
    penalty_seconds: float = 60.0
    """How long a connection that had to make room counts against its source."""

    code_connections_per_user: int = 50
    """Connections of one user, on one worker, that have passed the first factor and not the second."""

    sessions_per_user: int = 20
    sessions_per_connection: int = 10
    unused_seconds: float = 60.0
    """How long a connection that was admitted may run nothing on its channels."""
    descriptors_kept_back: int = 64
    """Open files that no connection may be: the database, mail and others need them."""
    idle_minutes: float = 30.0
    idle_warning_seconds: float = 60.0
    """How long before the end of an idle session its user is warned."""
    keepalive_seconds: float = 30.0
    keepalive_count: int = 3
    """Keepalive intervals after which a silent client is gone."""
    drain_seconds: float = 5.0
    """How long sessions that were told to end may take before they are cut off."""
    silence_seconds: float = 30.0
    """How long one of several workers may leave questions unanswered before it is replaced."""

    sign_in_bytes: int = 131072
    """All that is taken of a connection before both factors are proven."""
    received_bytes: int = 1048576
    """What waits to be looked at; every channel's window fits in it."""
    unsent_bytes: int = 16777216
    """What waits to be sent to a client that does not read."""
    read_bytes: int = 4096
    """What is read of one connection before another one has its turn: a hundred of the smallest packets."""

    rsa_min_bits: int = RSA_MIN_BITS
    packet_bytes: int = 65536
    """The largest packet taken; RFC 4253 section 6.1 asks for 35000."""
    client_packet_bytes: int = 4096
    """The smallest packet that a channel's client may set as the largest it takes; most take 16384."""

    environment_variables: int = 16
    environment_requests: int = 256
    """Environment variables that a channel may offer; an honest client sends a dozen."""
    environment_bytes: int = 64
    """The longest value of an environment variable that is kept."""
    min_columns: int = 20
    max_columns: int = 500
    min_rows: int = 5
    max_rows: int = 200

    write_buffer_bytes: int = 262144
    """Unsent screen output of a channel above which frames are dropped."""
    unread_seconds: float = 30.0
    """How long a client may leave its screen unread before its session ends."""
    early_input_bytes: int = 65536
    """Input kept for an app that has not started yet; what is more is dropped."""
    paste_characters: int = 262144
    """The longest bracketed paste; a longer one is dropped whole."""
    input_backlog: int = 1000
    """Messages waiting in an app above which its channel is not read."""

    @property
    def connections_per_user(self) -> int:
        """Admitted connections of one user: one for each session, and as many that end or begin."""
        return 2 * self.sessions_per_user
