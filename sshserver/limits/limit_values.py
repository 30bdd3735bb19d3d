"""Every limit on what a client may use of the server."""

from dataclasses import dataclass

from data.rules.public_keys import RSA_MIN_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one node; times are in seconds unless the name says otherwise."""

    wrong_answers: int = 10
    """Wrong passwords, wrong codes, malformed answers and bad signatures of one connection together.

    They are enough for three wrong passwords and the seven wrong codes that lock a user: the user sees that
    they are locked before the connection is closed.
    """
    unknown_keys: int = 20
    """Public keys that are not the user's; agents hold many."""
    wrong_answers_per_exchange: int = 3
    """Wrong answers of any kind after which a keyboard-interactive exchange fails.

    This ends a client that repeats itself; a person's `ssh` starts another exchange by itself.
    """
    sign_in_requests: int = 100
    """Requests and refusals of any kind before sign-in, so that uncounted ones are not endless either."""
    password_characters: int = 1024

    key_exchange_seconds: float = 10.0
    """Time for the client's part of the key exchange; people compare fingerprints after it."""
    first_factor_seconds: float = 60.0
    second_factor_seconds: float = 300.0
    sent_code_seconds: float = 900.0
    """Time to answer after a code was sent: as long as the code is valid."""
    connections_per_second: int = 200
    """Connections that one IPv4 address or IPv6 /64 may open in a second; others are hung up on."""
    connections_per_source: int = 10
    """Connections from one IPv4 address or IPv6 /64 that have not passed the first factor."""
    unauthenticated_connections: int = 200
    """Connections in total that have not passed the first factor."""
    spared_seconds: float = 2.0
    """How long a new connection is spared while older ones are still exchanging keys."""
    penalty_seconds: float = 60.0
    """How long a dropped connection counts against its source."""

    code_connections_per_user: int = 50
    """Connections of one user, on one worker, that have passed the first factor but not the second."""

    sessions_per_user: int = 20
    """Apps of one user: each holds megabytes."""
    commands_per_user: int = 128
    """Commands of one user under way: a script may start a hundred at once, and each holds little."""
    sessions_per_connection: int = 128
    """Channels of one connection, whether an app or a command is on them."""
    jumps_per_connection: int = 20
    """Channels of one connection to targets, those that are being opened included."""
    jumps_per_user: int = 100
    """Such channels of one user: one may stand for each host that a program works through."""
    unused_seconds: float = 60.0
    """How long an admitted connection may stay without a running session or a jump."""
    descriptors_kept_back: int = 64
    """Open files reserved for the database, mail and other uses."""
    idle_minutes: float = 30.0
    idle_warning_seconds: float = 60.0
    """How long before the end of an idle session its user is warned."""
    keepalive_seconds: float = 30.0
    keepalive_count: int = 3
    """Unanswered keep-alive requests after which the connection is closed."""
    drain_seconds: float = 5.0
    """How long sessions may take to end before they are cut off."""
    silence_seconds: float = 30.0
    """How long one of several workers may stay silent before it is replaced."""

    sign_in_bytes: int = 131072
    """Bytes accepted from a connection before both factors are proven."""
    received_bytes: int = 8388608
    """Received bytes that may wait to be processed; every channel's window fits in it."""
    unsent_bytes: int = 16777216
    """Bytes that may wait to be sent to a client that does not read."""
    read_bytes: int = 4096
    """Bytes read from one connection before another gets a turn: a hundred of the smallest packets."""
    carried_bytes: int = 130_000
    """The same where jumps carry large pieces, from a client or a target. With what packets add, one fills
    two TCP segments of the largest size, so that no small segment follows."""
    carried_in_turn: int = 650_000
    """Bytes that all jumps together are read in one turn of the loop: half a millisecond of its time."""
    jump_window: int = 524288
    """Bytes that a client may send on a jump before its target has taken them."""

    lookups: int = 8
    """Host names that are looked up at a time; each takes a thread for as long as the resolver takes."""
    lookup_seconds: float = 5.0
    dial_seconds: float = 10.0
    """How long a target may take to answer, at whichever of its addresses."""

    rsa_min_bits: int = RSA_MIN_BITS
    packet_bytes: int = 65536
    """The largest packet accepted; RFC 4253 section 6.1 requires 35000."""
    client_packet_bytes: int = 4096
    """The smallest maximum packet size that a channel's client may set; most set 16384."""

    command_characters: int = 32768
    """The longest command; half of the largest packet."""
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
    command_buffer_bytes: int = 65536
    """Unsent output of a command above which it waits."""
    unread_seconds: float = 30.0
    """How long a client may leave its screen unread before its session ends."""
    early_input_bytes: int = 65536
    """Input kept for an app that has not started yet; the rest is dropped."""
    paste_characters: int = 262144
    """The longest bracketed paste; a longer one is dropped entirely."""
    input_backlog: int = 1000
    """Messages waiting in an app above which its channel is not read."""

    @property
    def channels_per_user(self) -> int:
        """Channels of one user: one per session and command, and as many that are starting or ending.

        What a client may send before it is read is kept for each of them.
        """
        return 2 * (self.sessions_per_user + self.commands_per_user)

    @property
    def connections_per_user(self) -> int:
        """Admitted connections of one user: one per session, and as many that are starting or ending."""
        return 2 * self.sessions_per_user
