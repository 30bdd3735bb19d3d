"""The tables. Only operations write them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    DatabaseProxy,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    ModelSelect,
    TextField,
)

database = DatabaseProxy()
"""The database of the open store; a process has one store open at a time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_OF_DAY = 86_400_000_000


def microseconds(when: datetime) -> int:
    """Return a moment as whole microseconds since the Unix epoch, the form in which it is stored."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def moment(count: int) -> datetime:
    """Return the moment from `microseconds`."""
    return _EPOCH + timedelta(microseconds=count)


def day_number(when: datetime) -> int:
    """Return a moment's day in UTC, counted from the Unix epoch."""
    return microseconds(when) // MICROSECONDS_OF_DAY


def day_date(number: int) -> date:
    """Return the day from `day_number`."""
    return _EPOCH.date() + timedelta(days=number)


class _MomentField(Field):
    """A moment in UTC, stored as whole microseconds since the Unix epoch: the same on every database."""

    field_type = "BIGINT"

    def db_value(self, value: datetime | None) -> int | None:
        return None if value is None else microseconds(value)

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else moment(value)


def moment_field() -> "Field[datetime]":
    """Create a column for a moment."""
    return _MomentField()


def optional_moment_field() -> "Field[datetime | None]":
    """Create a column for a moment that may not be set."""
    return _MomentField(null=True)


class _Table(Model):
    class Meta:
        database = database
        legacy_table_names = False


class Installation(_Table):
    """One row that marks a database as this product's and binds it to its master key.

    `moved_to` says where an installation that no longer serves was moved to; `arriving` marks an
    unfinished copy, and `backup_at` a backup. During a rotation, `former_key_check` names the key that
    some values are still sealed under. From the first rotation on, the digest keys are kept here, so that
    they outlive the first master key.
    """

    id = AutoField()
    key_check = CharField(max_length=32)
    former_key_check = CharField(max_length=32, null=True)
    sealed_digest_keys = BlobField(null=True)
    created_at = moment_field()
    moved_to = CharField(max_length=500, null=True)
    moved_at = optional_moment_field()
    arriving = BooleanField(default=False)
    backup_at = optional_moment_field()


class Account(_Table):
    """An organisation and its policy.

    `notify_new_places` says that users are told of sign-ins from places that are not known, and
    `notify_locks` that system administrators are told whose accounts were locked.
    `on_since` is when the mode last left `off`, and `required_since` when it last became `required` or
    stricter; null if it never did, or nobody remembers. `deadline` is from when on the mode `required` asks
    for something, null at once, and `put_off` how often it was put off; both are kept if `required` is left
    before that. `seen_at` is the latest full hour that was seen while the mode was `required` (see
    `data.rules.deadline`). `reminded_days` says of which of
    the days before the deadline whoever was missing was last reminded, and `reminded_user` of the last user
    while that goes on. `certificate_hours` is how long a certificate is valid, 0 if none are issued, and
    `certificate_extensions` what it permits, as words such as `pty` (see `data.rules.ssh_certificates`).
    """

    id = AutoField()
    name = CharField(max_length=120, unique=True)
    mode = CharField(max_length=16)
    remember_days = IntegerField(default=0)
    permanent_at = optional_moment_field()
    permanent_by = CharField(max_length=40, null=True)
    app_on = BooleanField(default=True)
    sms_on = BooleanField(default=False)
    email_on = BooleanField(default=False)
    created_at = moment_field()
    on_since = optional_moment_field()
    required_since = optional_moment_field()
    notify_new_places = BooleanField(default=True, constraints=[SQL("DEFAULT true")])
    notify_locks = BooleanField(default=False, constraints=[SQL("DEFAULT false")])
    deadline = optional_moment_field()
    put_off = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    grace_days = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    seen_at = _MomentField(default=_EPOCH, constraints=[SQL("DEFAULT 0")])
    reminded_days = IntegerField(null=True)
    reminded_user = IntegerField(null=True)
    certificate_hours = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    certificate_extensions = CharField(max_length=120, default="pty", constraints=[SQL("DEFAULT 'pty'")])


class Practice(_Table):
    """A part of an account."""

    id = AutoField()
    account = ForeignKeyField(Account, backref="practices", on_delete="RESTRICT")
    name = CharField(max_length=120)

    class Meta:
        indexes = ((("account", "name"), True),)


TOMBSTONE = "deleted"
"""The standing of a deleted user: only the row is left, which keeps their number."""


class User(_Table):
    """A person who signs in.

    `credential` grows by one with every new password, so that a sign-in begun with an older one is not
    admitted. `wrong_answers` holds keyed hashes of answers recently judged wrong, each with its moment.
    `one_time_until` is when a one-time password expires, and null for any other. `password_mailed_at` is
    when the password, or the one-time password that it replaced, was sent by e-mail; null once no reader
    of the mailbox can have signed in with that alone. `standing` follows from the other columns, the
    roles and the factors: any change of them updates it, and `standing_since` with it. `few_codes` says
    that someone who has set up a second factor has few unused recovery codes left. `signin_count` counts
    the sign-ins of the minute `signin_minute`, and `renewal_count` the sets of recovery codes of the hour
    `renewal_hour`; minutes and hours are counted from the epoch. `known_places` holds networks and keys
    of lately, each with its last day; null until the first sign-in that is noted there. `grace_from` is the
    full hour after a creation under the mode `required`; the epoch for everyone else, and from the first
    factor on, by a trigger.

    Every `select` leaves out tombstones. A join of another table to users must leave them out itself.
    """

    account_id: int
    practice_id: int

    id = AutoField()
    account = ForeignKeyField(Account, backref="users", on_delete="RESTRICT", index=False)
    practice = ForeignKeyField(Practice, backref="users", on_delete="RESTRICT", index=False)
    name = CharField(max_length=32, unique=True)
    email = CharField(max_length=254, unique=True)
    full_name = CharField(max_length=120, default="")
    phone = CharField(max_length=16, null=True)
    active = BooleanField(default=True)
    required = BooleanField(default=False)
    lost_factor = BooleanField(default=False)
    password_hash = CharField(max_length=200, null=True)
    one_time_until = optional_moment_field()
    password_mailed_at = optional_moment_field()
    credential = IntegerField(default=0)
    attempts_left = IntegerField()
    wrong_answers = TextField(default="", constraints=[SQL("DEFAULT ''")])
    locked_at = optional_moment_field()
    recovery_saved = BooleanField(default=True)
    created_at = moment_field()
    last_signin_at = optional_moment_field()
    signin_minute = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    signin_count = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    renewal_hour = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    renewal_count = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    theme = CharField(max_length=16, null=True)
    standing = CharField(max_length=12, default="free", constraints=[SQL("DEFAULT 'free'")])
    standing_since = _MomentField(default=_EPOCH, constraints=[SQL("DEFAULT 0")])
    few_codes = BooleanField(default=False, constraints=[SQL("DEFAULT false")])
    known_places = TextField(null=True)
    plain = BooleanField(default=False, constraints=[SQL("DEFAULT false")])
    grace_from = _MomentField(default=_EPOCH, constraints=[SQL("DEFAULT 0")])

    class Meta:
        indexes = (
            (("account", "standing", "name"), False),
            (("account", "standing", "email"), False),
            (("practice", "standing", "name"), False),
            (("practice", "standing", "email"), False),
            (("account", "standing", "standing_since"), False),
            (("account", "standing", "grace_from"), False),
        )

    @classmethod
    def select(cls, *fields: Any) -> "ModelSelect[Self]":
        """Select from users, without tombstones."""
        return super().select(*fields).where(cls.standing != TOMBSTONE)


User.add_index(User.index(User.account, User.standing, User.name, where=User.few_codes))


class LastSignin(_Table):
    """The users in the order of their last sign-in. Only triggers on `User` write it.

    It is a separate table so that a sign-in changes no index that others read: on PostgreSQL they would
    conflict with it. No writing operation reads it.
    """

    user_id: int

    user = ForeignKeyField(User, primary_key=True, on_delete="CASCADE")
    account_id = IntegerField()
    practice_id = IntegerField()
    standing = CharField(max_length=12)
    at = optional_moment_field()

    class Meta:
        indexes = (
            (("account_id", "standing", "at", "user"), False),
            (("practice_id", "standing", "at", "user"), False),
        )

    @classmethod
    def select(cls, *fields: Any) -> "ModelSelect[Self]":
        """Select from users, without tombstones."""
        return super().select(*fields).where(cls.standing != TOMBSTONE)


class UserRole(_Table):
    """A role that a user holds."""

    user_id: int

    user = ForeignKeyField(User, backref="role_rows", on_delete="CASCADE")
    role = CharField(max_length=20)

    class Meta:
        primary_key = CompositeKey("user", "role")
        indexes = ((("role", "user"), False),)


class PublicKey(_Table):
    """An SSH public key that signs a user in."""

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="keys", on_delete="CASCADE")
    algorithm = CharField(max_length=64)
    blob = TextField()
    fingerprint = CharField(max_length=64)
    comment = CharField(max_length=120, default="")
    added_at = moment_field()
    last_used_at = optional_moment_field()

    class Meta:
        indexes = ((("user", "fingerprint"), True),)


class Factor(_Table):
    """A confirmed second factor, one of a kind per user.

    For an authenticator app it holds the secret, for a sent method the proven address or number.
    `last_offset` is by how many time steps the last accepted code was ahead of the time here, and
    `drift` by how many the phone's clock is assumed to be. While an offer to resync is open,
    `resync_step` is the time step of the first of two codes. `barred_steps` are steps after the last one
    that were accepted while the clock here was ahead.
    """

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="factors", on_delete="CASCADE")
    kind = CharField(max_length=16)
    sealed_secret = BlobField()
    last_step = BigIntegerField()
    barred_steps = TextField(default="")
    last_offset = IntegerField(null=True)
    drift = IntegerField(default=0)
    resync_until = optional_moment_field()
    resync_step = BigIntegerField(null=True)
    destination = CharField(max_length=254, null=True)
    confirmed_at = moment_field()

    class Meta:
        # The second is not for reading the rows of one user: on PostgreSQL it would set writers at odds.
        indexes = ((("user", "kind"), True), (("kind", "id", "user"), False))


class RecoveryCode(_Table):
    """A recovery code: its selector in the clear, its secret hashed. A temporary code has `expires_at`."""

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="recovery_codes", on_delete="CASCADE")
    selector = CharField(max_length=4)
    secret_hash = CharField(max_length=200)
    used_at = optional_moment_field()
    expires_at = optional_moment_field()

    class Meta:
        indexes = ((("user", "selector"), True),)


class RememberedAddress(_Table):
    """Where a user gave a code: from this address with this first factor, none is asked for until then."""

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="remembered", on_delete="CASCADE")
    address = CharField(max_length=64)
    credential = CharField(max_length=80)
    accepted_at = moment_field()
    until = moment_field()

    class Meta:
        indexes = ((("user", "address", "credential"), True),)


class SentCode(_Table):
    """A code that was sent to a user, as a keyed hash; kept for a day to limit how many are sent.

    `account_id` is the user's account, whose codes of the day are counted.
    """

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="sent_codes", on_delete="CASCADE")
    account_id = IntegerField()
    purpose = CharField(max_length=16)
    method = CharField(max_length=16)
    destination = CharField(max_length=254)
    digest = CharField(max_length=64)
    sent_at = moment_field()
    failed = BooleanField(default=False)
    wrong_tries = IntegerField(default=0)
    used_at = optional_moment_field()
    void = BooleanField(default=False)

    class Meta:
        indexes = (
            (("user", "sent_at"), False),
            (("destination", "sent_at"), False),
            (("sent_at",), False),
            (("account_id", "purpose"), False),
        )


class UncountedAnswer(_Table):
    """How often a user did something that costs no attempt, by kind, source and hour; kept for a day."""

    user = ForeignKeyField(User, on_delete="CASCADE", index=False)
    kind = CharField(max_length=16)
    application = CharField(max_length=16)
    address = CharField(max_length=64)
    hour = BigIntegerField()
    count = IntegerField()

    class Meta:
        primary_key = CompositeKey("user", "kind", "application", "address", "hour")


class Worker(_Table):
    """A process that serves sessions, and counts heartbeats while it does.

    `node` names the home that it serves. A worker whose count stops is presumed dead: the clocks of nodes
    are never compared.
    """

    id = CharField(max_length=16, primary_key=True)
    node = CharField(max_length=16)
    beat = BigIntegerField()
    started_at = moment_field()
    seen_at = moment_field()


class Session(_Table):
    """A session of a user; a restricted one may only do what its step asks for.

    `fresh_at` is when its user last proved who they are, in the way that was asked for; `code_at` when
    they last did so with a code, and `temporary_code` whether that was a temporary code. `worker` is the
    process that holds it, if that is one that serves many.
    """

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="sessions", on_delete="CASCADE")
    application = CharField(max_length=16)
    address = CharField(max_length=64)
    first_factor = CharField(max_length=16)
    methods = CharField(max_length=80, default="")
    credential = CharField(max_length=80)
    restricted = BooleanField(default=False)
    started_at = moment_field()
    fresh_at = optional_moment_field()
    code_at = optional_moment_field()
    temporary_code = BooleanField(default=False, constraints=[SQL("DEFAULT false")])
    ended_at = optional_moment_field()
    ended_because = CharField(max_length=120, default="")
    worker = CharField(max_length=16, null=True, index=True)


class Lease(_Table):
    """Work of a kind that a user has in progress in this session, and may have only once."""

    session_id: int

    user = ForeignKeyField(User, on_delete="CASCADE", index=False)
    kind = CharField(max_length=16)
    session = ForeignKeyField(Session, on_delete="CASCADE")
    until = moment_field()

    class Meta:
        primary_key = CompositeKey("user", "kind")


class AwaitedMessage(_Table):
    """A code that a wizard shows and that its user sends in as a text message, as a keyed hash.

    `number` is the sender's, once the message has arrived; `refused` says that one came from a sender
    that is not a phone number.
    """

    user_id: int
    session_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="awaited_messages", on_delete="CASCADE")
    session = ForeignKeyField(Session, backref="awaited_messages", on_delete="CASCADE")
    digest = CharField(max_length=64, unique=True)
    shown_at = moment_field()
    refused = BooleanField(default=False)
    number = CharField(max_length=16, null=True)


class ImportBatch(_Table):
    """An import of users and who started it: none of them exist until it is published, and then soon all do.

    A published import stays until each of its rows has become a user. A dropped one is never published,
    and stays until its rows are removed.
    """

    account_id: int

    id = AutoField()
    account = ForeignKeyField(Account, backref="imports", on_delete="CASCADE")
    begun_at = moment_field()
    published_at = optional_moment_field()
    dropped = BooleanField(default=False)
    actor = CharField(max_length=40)
    application = CharField(max_length=16)
    address = CharField(max_length=64)


class StagedUser(_Table):
    """A row of an import that is not a user yet, with the words and the key that the user will have.

    The words are separated by spaces. There are none if an older version has already created the user.
    """

    batch_id: int
    practice_id: int

    batch = ForeignKeyField(ImportBatch, on_delete="RESTRICT", index=False)
    row = IntegerField()
    practice = ForeignKeyField(Practice, on_delete="RESTRICT")
    name = CharField(max_length=32, index=True)
    email = CharField(max_length=254, index=True)
    full_name = CharField(max_length=120)
    phone = CharField(max_length=16, null=True)
    required = BooleanField()
    words = TextField()
    algorithm = CharField(max_length=64, default="")
    blob = TextField(default="")
    fingerprint = CharField(max_length=64, default="")
    comment = CharField(max_length=120, default="")

    class Meta:
        primary_key = CompositeKey("batch", "row")


class DeletedUser(_Table):
    """A tombstone's name, which is given to no one else for a while."""

    user = ForeignKeyField(User, primary_key=True, on_delete="RESTRICT")
    name = CharField(max_length=32, index=True)
    at = moment_field()


class AuditEntry(_Table):
    """One act or sign-in outcome. Names are copied, so that a row never changes its meaning.

    `chain`, `seq` and `mac` chain the rows (see `data.rules.audit_chain`). Triggers refuse any change to
    a row, and its removal unless a cut in `AuditCut` covers it.
    """

    id = AutoField()
    at = moment_field()
    account = ForeignKeyField(Account, null=True, on_delete="RESTRICT")
    event = CharField(max_length=40)
    actor = CharField(max_length=40)
    user = CharField(max_length=40, null=True)
    application = CharField(max_length=16)
    address = CharField(max_length=64)
    detail = TextField()
    chain = CharField(max_length=40, null=True)
    seq = BigIntegerField(null=True)
    mac = CharField(max_length=64, null=True)

    class Meta:
        indexes = (
            (("account", "user"), False),
            (("account", "event"), False),
            (("chain", "seq"), True),
        )


class UserCount(_Table):
    """How many users of an account have each standing. Only triggers on `User` and `UserRole` write it.

    A row counts the users of a practice, or with `practice_id` 0 all of the account or, if `role` is set,
    those who hold it. `people` are all but the deactivated, and `few_codes` those of the enrolled.
    """

    account_id = IntegerField()
    practice_id = IntegerField()
    role = CharField(max_length=20)
    enrolled = IntegerField()
    obliged = IntegerField()
    free = IntegerField()
    locked = IntegerField()
    deactivated = IntegerField()
    people = IntegerField()
    few_codes = IntegerField()

    class Meta:
        primary_key = CompositeKey("account_id", "practice_id", "role")
        indexes = ((("account_id", "role", "people"), False),)


class GraceCount(_Table):
    """How many users who are free to choose have a `grace_from`. Only triggers on `User` write it.

    A row counts the users of a practice, or with `practice_id` 0 all of the account. None depends on the
    present time: which of them days of grace spare is decided by whoever reads.
    """

    account_id = IntegerField()
    practice_id = IntegerField()
    grace_from = moment_field()
    free = IntegerField()

    class Meta:
        primary_key = CompositeKey("account_id", "practice_id", "grace_from")


class EventCount(_Table):
    """How often an event of `COUNTED` was recorded in an account on a day, counted from the epoch in UTC.

    Only a trigger on `AuditEntry` writes it, and the log may since have been archived. Each chain, and so
    each writing process, has rows of its own, which it need not wait for.
    """

    account_id = IntegerField()
    day = IntegerField()
    event = CharField(max_length=40)
    chain = CharField(max_length=40)
    count = IntegerField()

    class Meta:
        primary_key = CompositeKey("account_id", "day", "event", "chain")


class AuditChain(_Table):
    """The head of a chain of audit rows. Each of several writing processes has its own chain."""

    name = CharField(max_length=40, primary_key=True)
    seq = BigIntegerField()
    mac = CharField(max_length=64)
    epoch = IntegerField()


class AuditChainKey(_Table):
    """A chain's key, sealed under the master key: valid after the row `after_seq` until the next epoch."""

    chain = CharField(max_length=40)
    epoch = IntegerField()
    after_seq = BigIntegerField()
    after_mac = CharField(max_length=64)
    sealed_key = BlobField()

    class Meta:
        primary_key = CompositeKey("chain", "epoch")


class AuditCut(_Table):
    """Where the log was cut: the rows up to this one are in an archive. The seal shows who cut it."""

    chain = CharField(max_length=40)
    seq = BigIntegerField()
    mac = CharField(max_length=64)
    made_at = moment_field()
    seal = BlobField()

    class Meta:
        primary_key = CompositeKey("chain", "seq")


class Notice(_Table):
    """A message that tells a user about an act on their account; it never holds a secret.

    `next_try_at` is when its delivery may next be tried, and null once it is settled. A sender claims a
    row by postponing it and counting the try, so that no two senders hold it at once.
    """

    user_id: int

    id = AutoField()
    user = ForeignKeyField(User, backref="notices", on_delete="CASCADE")
    recipient = CharField(max_length=254)
    event = CharField(max_length=40)
    actor = CharField(max_length=40)
    application = CharField(max_length=16)
    address = CharField(max_length=64)
    detail = TextField()
    at = moment_field()
    next_try_at = optional_moment_field()
    tries = IntegerField(default=0)
    done_at = optional_moment_field()

    class Meta:
        indexes = ((("next_try_at",), False), (("done_at",), False), (("recipient", "at"), False))


CARRIER_REASON_LENGTH = 300


class CarrierFailure(_Table):
    """Why a method's carrier last refused a message; no part of the message and no address."""

    method = CharField(max_length=16, primary_key=True)
    at = moment_field()
    reason = CharField(max_length=CARRIER_REASON_LENGTH)


class FirstFactorFailures(_Table):
    """How many first factors failed from a source in one minute, per bucket of names.

    `user_id` is 0 if the name is not an active user's. `told` says that the user was told about them.
    """

    source = CharField(max_length=64)
    bucket = IntegerField()
    user_id = IntegerField()
    minute = BigIntegerField()
    count = IntegerField()
    told = BooleanField(default=False)

    class Meta:
        primary_key = CompositeKey("source", "bucket", "user_id", "minute")
        indexes = ((("minute",), False), (("bucket", "minute"), False))


class Application(_Table):
    """An application of an account that asks whether its users may sign in.

    `token_hash` identifies it over HTTP; `sealed_secret` is what RADIUS shares with it. `networks` are those
    that it asks from, separated by spaces. `all_practices` says that it serves the whole account, otherwise
    it serves those in `ApplicationPractice`. `attributes` is what RADIUS tells of its users, in JSON: lists
    of a name, a value, a role or null, and a practice's ID or null. `suspended_at` is when it was found
    guessing codes.
    """

    account_id: int

    id = AutoField()
    account = ForeignKeyField(Account, on_delete="RESTRICT")
    name = CharField(max_length=16, unique=True)
    protocol = CharField(max_length=8)
    asks = CharField(max_length=24)
    networks = TextField()
    all_practices = BooleanField()
    accept_without_2fa = BooleanField()
    may_send = BooleanField()
    lenient = BooleanField()
    enabled = BooleanField()
    token_hash = CharField(max_length=64, unique=True, null=True)
    sealed_secret = BlobField(null=True)
    created_at = moment_field()
    rotated_at = moment_field()
    suspended_at = optional_moment_field()
    attributes = TextField(default="[]")


class ApplicationPractice(_Table):
    """A practice whose users an application serves."""

    application_id: int
    practice_id: int

    application = ForeignKeyField(Application, on_delete="CASCADE", index=False)
    practice = ForeignKeyField(Practice, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("application", "practice")


class ApplicationChallenge(_Table):
    """A question for a code that waits for its answer, after a password was right; kept for minutes.

    `digest` is the hash of its transaction ID, and `credential` names the password.
    """

    application_id: int
    user_id: int

    digest = CharField(max_length=64, primary_key=True)
    application = ForeignKeyField(Application, on_delete="CASCADE")
    user = ForeignKeyField(User, on_delete="CASCADE")
    credential = CharField(max_length=80)
    at = moment_field()

    class Meta:
        indexes = ((("at",), False),)


class ApplicationRejects(_Table):
    """How many answers through an application that checks passwords itself were rejected in one minute.

    `source` is where its user came from, if it said so, and `bucket` that of the name. `user_id` is the user
    whose code was wrong, and 0 if none was judged.
    """

    application_id: int

    application = ForeignKeyField(Application, on_delete="CASCADE", index=False)
    source = CharField(max_length=64)
    bucket = IntegerField()
    user_id = IntegerField()
    minute = BigIntegerField()
    count = IntegerField()

    class Meta:
        primary_key = CompositeKey("source", "bucket", "user_id", "minute", "application")
        indexes = ((("application", "minute"), False), (("minute",), False))


class CertificateAuthority(_Table):
    """The key that signs the user certificates of an account; a retired one is kept until they have ended.

    `public_key` is its line for `TrustedUserCAKeys`, and `sealed_key` its private Ed25519 key, 32 bytes.
    """

    account_id: int

    id = AutoField()
    account = ForeignKeyField(Account, on_delete="RESTRICT")
    public_key = CharField(max_length=120)
    fingerprint = CharField(max_length=64)
    sealed_key = BlobField()
    created_at = moment_field()
    retired_at = optional_moment_field()


class UserPrincipal(_Table):
    """A principal that a user's certificates include besides the user's name.

    `by_operator` says that the operator gave it, without which a reserved name does not count.
    """

    user_id: int

    user = ForeignKeyField(User, on_delete="CASCADE", index=False)
    principal = CharField(max_length=64)
    by_operator = BooleanField()

    class Meta:
        primary_key = CompositeKey("user", "principal")


class PracticePrincipal(_Table):
    """A principal that the certificates of everyone in a practice include; see `UserPrincipal`."""

    practice_id: int

    practice = ForeignKeyField(Practice, on_delete="CASCADE", index=False)
    principal = CharField(max_length=64)
    by_operator = BooleanField()

    class Meta:
        primary_key = CompositeKey("practice", "principal")


class Certificate(_Table):
    """A user certificate that was issued; withdrawn ones are listed in the account's KRL until they end.

    `fingerprint` is that of the certified key. `principals` and `source_addresses` are separated by spaces.
    `session` is the one that asked for it.
    """

    authority_id: int
    user_id: int
    session_id: int | None

    serial = BigIntegerField(primary_key=True)
    authority = ForeignKeyField(CertificateAuthority, on_delete="RESTRICT")
    user = ForeignKeyField(User, backref="certificates", on_delete="RESTRICT", index=False)
    session = ForeignKeyField(Session, null=True, on_delete="SET NULL")
    key_id = CharField(max_length=200)
    fingerprint = CharField(max_length=64)
    principals = TextField()
    source_addresses = TextField(default="")
    issued_at = moment_field()
    until = moment_field()
    withdrawn_at = optional_moment_field()
    withdrawn_because = CharField(max_length=120, default="")

    class Meta:
        indexes = ((("user", "until"), False), (("until",), False))


class Target(_Table):
    """A host and port that users of an account may reach through the server.

    `host` is a name or an address in its shortest form. `everyone` says that all users of the account may,
    otherwise those whom a `TargetGrant` names: a grant that goes with its practice or user opens the target
    to nobody else. `by_operator` says that the operator added it, which frees its addresses of bounds (see
    `data.rules.target_addresses`).
    """

    account_id: int

    id = AutoField()
    account = ForeignKeyField(Account, on_delete="RESTRICT", index=False)
    name = CharField(max_length=32)
    host = CharField(max_length=253)
    port = IntegerField()
    by_operator = BooleanField()
    everyone = BooleanField()
    created_at = moment_field()

    class Meta:
        indexes = ((("account", "name"), True), (("account", "host"), False))


class TargetGrant(_Table):
    """Who may reach a target: the users of a practice, the holders of a role, or one user."""

    target_id: int
    practice_id: int | None
    user_id: int | None

    id = AutoField()
    target = ForeignKeyField(Target, on_delete="CASCADE")
    practice = ForeignKeyField(Practice, null=True, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    role = CharField(max_length=20, null=True)


class Jump(_Table):
    """An open channel of a session to a target, with the address that was dialled.

    `sent` counts bytes from the client, `received` those from the target. `target` is null once the target
    was removed, and `name` stays.
    """

    session_id: int
    target_id: int | None

    id = AutoField()
    session = ForeignKeyField(Session, on_delete="CASCADE")
    target = ForeignKeyField(Target, null=True, on_delete="SET NULL")
    name = CharField(max_length=32)
    address = CharField(max_length=64)
    port = IntegerField()
    opened_at = moment_field()
    sent = BigIntegerField(default=0)
    received = BigIntegerField(default=0)


class UserWord(_Table):
    """A word that a user is found by, as bytes, so that every database orders it the same way."""

    user_id: int

    user = ForeignKeyField(User, on_delete="CASCADE", index=False)
    word = BlobField()
    account_id = IntegerField()

    class Meta:
        primary_key = CompositeKey("user", "word")
        indexes = ((("account_id", "word", "user"), False),)


class PracticeWord(_Table):
    """A word that the users of a practice are found by."""

    practice_id: int

    practice = ForeignKeyField(Practice, on_delete="CASCADE", index=False)
    word = BlobField()
    account_id = IntegerField()

    class Meta:
        primary_key = CompositeKey("practice", "word")
        indexes = ((("account_id", "word", "practice"), False),)


TABLES: tuple[type[Any], ...] = (
    Installation,
    Account,
    Practice,
    User,
    LastSignin,
    UserRole,
    PublicKey,
    Factor,
    RecoveryCode,
    RememberedAddress,
    SentCode,
    UncountedAnswer,
    Worker,
    Session,
    Lease,
    AwaitedMessage,
    ImportBatch,
    StagedUser,
    DeletedUser,
    AuditEntry,
    UserCount,
    GraceCount,
    EventCount,
    Notice,
    CarrierFailure,
    AuditChain,
    AuditChainKey,
    AuditCut,
    FirstFactorFailures,
    Application,
    ApplicationPractice,
    ApplicationChallenge,
    ApplicationRejects,
    CertificateAuthority,
    UserPrincipal,
    PracticePrincipal,
    Certificate,
    Target,
    TargetGrant,
    Jump,
    UserWord,
    PracticeWord,
)

KEPT_BY_TRIGGERS: tuple[type[Any], ...] = (LastSignin, UserCount, GraceCount)
"""Tables whose rows triggers make from those of other tables."""
