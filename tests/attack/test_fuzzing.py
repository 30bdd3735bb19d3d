"""Whatever comes: no crash, no hang, and nobody inside who has not proven both factors."""

import asyncio
import contextlib
import itertools
import logging
import random
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.attacked_server import AttackedServer, attacked_server
from support.fake_backend import session
from support.raw_ssh_client import Closed, flag, packet, raw_client, text, u32
from support.ssh_server import GreetingApp, until
from textual import events
from textual.app import App
from textual.message import Message

from data.operations.signin.admission import Admitted, Attempt, TurnedAway
from data.operations.signin.code_verification import CodeAlreadyUsed, CodeWrong
from data.operations.signin.dialogue import CheckCode, SendCode
from data.operations.signin.first_factor import CodeNeeded, FirstFactorRejected
from data.operations.signin.resync import NextCodeWanted
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules import google_authenticator_file, public_keys, users_csv
from data.rules.domain_types import Application, FirstFactor, Method
from data.rules.source_addresses import Origin
from sshserver.compat.hooks import AuthOutcome
from sshserver.limits.limit_values import Limits
from sshserver.session.channel_driver import ChannelDriver
from sshserver.signin.conversation import CheckPassword, Conversation
from sshserver.terminal.capabilities import Terminal, clamp

SOAK_SECONDS = 120
"""How long each long form lasts."""


@dataclass(frozen=True)
class Effort:
    """So many examples, and others again and again until so many seconds have passed."""

    examples: int
    seconds: float = 0

    def rounds(self) -> Iterator[None]:
        over = time.monotonic() + self.seconds
        yield
        while time.monotonic() < over:
            yield

    def for_hypothesis(self, **more: Any) -> settings:
        # Examples that are derived from the test's name would be the same ones in every round.
        return settings(max_examples=self.examples, derandomize=False, **more)


def forms(short: int, each_round: int) -> Any:
    """Give a test its effort: few examples in the tests, rounds of more for a while in the long forms."""
    long = Effort(each_round, SOAK_SECONDS)
    marks = [pytest.mark.soak, pytest.mark.timeout(20 * SOAK_SECONDS)]
    return pytest.mark.parametrize(
        "effort", [pytest.param(Effort(short), id="short"), pytest.param(long, id="long", marks=marks)]
    )


def fuzz(effort: Effort, **given_by: Any) -> Callable[[Callable[..., None]], None]:
    """Run a function with such examples, here and now."""

    def run(function: Callable[..., None]) -> None:
        for _ in effort.rounds():
            effort.for_hypothesis(deadline=10_000)(given(**given_by)(function))()

    return run


# The sign-in conversation.

ANYTHING = st.text(alphabet=st.characters(codec=None), max_size=200)
METHODS = st.lists(st.sampled_from(Method), unique=True).map(tuple)
ATTEMPTS = METHODS.map(
    lambda methods: Attempt(
        1, "u", Origin(Application.SSH, "192.0.2.1"), FirstFactor.KEY, "", methods=methods
    )
)
FIRST = st.one_of(
    st.just(FirstFactorRejected()),
    ATTEMPTS.map(CodeNeeded),
    st.just(Admitted(session())),
    st.just(TurnedAway("no")),
)
CODES = st.one_of(
    st.builds(CodeWrong, st.integers(0, 6)),
    st.builds(CodeAlreadyUsed, st.none() | st.integers(0, 30)),
    st.builds(NextCodeWanted, st.integers(1, 7)),
    st.just(Admitted(session())),
    st.just(TurnedAway("no")),
    st.just(FirstFactorRejected()),
)
SENT = st.one_of(
    st.just(CodeSent(Method.EMAIL, "a•••@x.example")), st.just(NotSent("no")), st.just(TurnedAway("no"))
)


class Talk(RuleBasedStateMachine):
    """A client that says anything in any order, and a data layer that may answer anything."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Conversation(Limits())
        self.talk.begin()
        self.pending: Any = None
        self.admitted = False
        self.wrong = 0

    def reply(self, reply: Any) -> None:
        self.pending = reply if isinstance(reply, CheckPassword | CheckCode | SendCode) else None

    @rule()
    def name_another_user(self) -> None:
        self.talk.begin()
        self.pending, self.admitted = None, False

    @rule()
    def open_exchange(self) -> None:
        self.reply(self.talk.open_exchange())

    @rule(answers=st.lists(ANYTHING, max_size=3) | st.sampled_from([["s"], ["e"], ["123456"], [""]]))
    def answer(self, answers: list[str]) -> None:
        self.reply(self.talk.answer(answers))

    @precondition(lambda self: self.talk.offers_key)
    @rule(result=FIRST)
    def prove_a_key(self, result: Any) -> None:
        self.talk.open_request()
        self.pending = None
        self.talk.take_key(result)
        self.admitted |= isinstance(result, Admitted)

    @precondition(lambda self: isinstance(self.pending, CheckPassword))
    @rule(result=FIRST)
    def judge_the_password(self, result: Any) -> None:
        self.reply(self.talk.take_first_factor(result))
        self.admitted |= isinstance(result, Admitted)

    @precondition(lambda self: isinstance(self.pending, CheckCode))
    @rule(result=CODES)
    def judge_the_code(self, result: Any) -> None:
        self.reply(self.talk.take_code(result))
        self.admitted |= isinstance(result, Admitted)

    @precondition(lambda self: isinstance(self.pending, SendCode))
    @rule(result=SENT)
    def send_a_code(self, result: Any) -> None:
        self.reply(self.talk.take_sent(result))

    @rule(result=FIRST | CODES | SENT)
    def answer_too_late(self, result: Any) -> None:
        self.talk.take_stale(result)

    @invariant()
    def only_an_admission_admits(self) -> None:
        assert (self.talk.session is not None) is self.admitted
        assert (self.talk.outcome is AuthOutcome.SUCCESS) is self.admitted
        assert not (self.admitted and (self.talk.offers_key or self.talk.offers_questions))

    @invariant()
    def what_was_wrong_stays_counted(self) -> None:
        assert self.talk.wrong_answers >= self.wrong
        self.wrong = self.talk.wrong_answers


@forms(60, 300)
def test_nobody_talks_their_way_in(effort):
    for _ in effort.rounds():
        run_state_machine_as_test(Talk, settings=effort.for_hypothesis(stateful_step_count=40))


# What a client types.

PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"\x1b", b"\x1b[", b"\x1b[200~", b"\x1b[201~", b"\x1b[<0;1;1M", b"\x1bO", b"\x1b]0;", b"\x9b"]
    ),
    st.builds(
        lambda n, end: f"\x1b[{n}{end}".encode(), st.integers(0, 10**12), st.sampled_from("ABcnRtuy~$;")
    ),
    st.builds(
        lambda letter, count: letter * count, st.sampled_from([b"a", b"\x1b[A", b"\xc3"]), st.integers(0, 900)
    ),
)


class Nowhere:
    """A channel that leads nowhere."""

    reading = True

    def send(self, data: bytes) -> None:
        pass

    def attach(self, driver: ChannelDriver) -> None:
        pass

    def act(self) -> None:
        pass

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class SilentApp(App[str | None]):
    """An app that does not run."""

    def post_message(self, message: Message) -> bool:
        return True


@forms(60, 500)
def test_whatever_was_typed_the_next_key_is_read(effort):
    @fuzz(effort, chunks=st.lists(PIECES, max_size=20), sizes=st.lists(st.integers(0, 2**32), max_size=4))
    def run(chunks, sizes):
        read: list[Message] = []

        async def scene():
            limits, wire = Limits(paste_characters=2000), Nowhere()
            driver = ChannelDriver(SilentApp(), wire=wire, limits=limits)
            driver.start_application_mode()
            driver.send_message = read.append  # type: ignore[method-assign]
            for number, chunk in enumerate(chunks):
                driver.feed(chunk)
                if number < len(sizes):
                    driver.resize(clamp((sizes[number], sizes[-1]), limits))
            # What is malformed takes along what came with it, and nothing that comes later.
            for later in (b"", b"\xff \x1b[201~" + b" " * 40 + b"Z"):
                driver.feed(later)
                async with asyncio.timeout(10):
                    while driver._waiting:
                        await asyncio.sleep(0)
            assert wire.reading
            driver.close()

        asyncio.run(scene())
        keys = [message for message in read if isinstance(message, events.Key)]
        assert keys[-1].key == "Z"


@forms(4, 50)
def test_typeahead_keeps_its_order(effort):
    @fuzz(effort, typed=st.text(alphabet="abcdefghij", min_size=1, max_size=60), cut=st.integers(1, 20))
    def run(typed, cut):
        async def scene():
            wire = Nowhere()
            drivers: list[ChannelDriver] = []
            wire.attach = drivers.append  # type: ignore[method-assign]
            app = GreetingApp(session(), Terminal())
            app.host(Terminal(), partial(ChannelDriver, wire=wire, limits=Limits(input_backlog=10)))
            running = asyncio.create_task(app.run_hosted(Terminal()))
            await until(lambda: drivers and app.is_running)
            for start in range(0, len(typed), cut):
                drivers[0].feed(typed[start : start + cut].encode())
            await until(lambda: len(app.keys) == len(typed))
            assert app.keys == list(typed)
            drivers[0].feed(b"q")
            assert await asyncio.wait_for(running, 20) == "Goodbye."

        asyncio.run(scene())


# Packets.


def noise(chance: random.Random) -> bytes:
    """A packet of some kind whose fields are what they should not be."""
    parts = [
        lambda: text(chance.randbytes(chance.randrange(60))),
        lambda: text(
            chance.choice(["session", "shell", "pty-req", "env", "publickey", "bob", "ssh-connection"])
        ),
        lambda: u32(chance.choice([0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF])),
        lambda: flag(chance.random() < 0.5),
        lambda: chance.randbytes(chance.randrange(20)),
    ]
    return packet(chance.randrange(256), *(chance.choice(parts)() for _ in range(chance.randrange(6))))


async def talk_noise(attacked: AttackedServer, seed: int) -> None:
    """Come so far as the seed says, and say what nobody should."""
    chance = random.Random(seed)
    async with raw_client(attacked.port) as client:
        stage = chance.randrange(4)
        with contextlib.suppress(Closed, TimeoutError):
            if stage:
                await client.begin()
            else:
                client.send_raw(b"SSH-2.0-noise\r\n")
                await client.reader.readline()
            if stage == 2:
                await client.pass_key("mallory", attacked.mallory)
            if stage == 3:
                await client.sign_in("mallory", attacked.mallory, attacked.code())
                await client.channel()
            for _ in range(chance.randrange(1, 12)):
                client.send(noise(chance))
            await client.read(0.05)


@forms(60, 200)
async def test_no_packet_crashes_the_server(people, caplog, effort):
    caplog.set_level(logging.WARNING)
    seeds = itertools.count(secrets.randbits(32) if effort.seconds else 0)
    async with attacked_server(people) as attacked:
        for _ in effort.rounds():
            for seed in itertools.islice(seeds, effort.examples):
                await talk_noise(attacked, seed)
                errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
                assert errors == [], f"seed {seed}"
                caplog.clear()
            await attacked.still_serves()
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []


# Files and keys.

CELLS = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=30),
    st.sampled_from(
        ['"', '""', "\0", "\r", "anna", "anna@x.example", "yes", "=1+1", "ssh-ed25519 AAAA", "\ufeff"]
    ),
)
LINES = st.lists(CELLS, max_size=8).map(",".join)
TABLES = st.lists(LINES, max_size=12).map(lambda lines: "name,email,public_key\n" + "\n".join(lines))


@forms(150, 2000)
def test_no_list_of_people_is_a_crash(effort):
    files = st.binary(max_size=400) | TABLES.map(lambda table: table.encode("utf-8", "surrogatepass"))

    @fuzz(effort, raw=files, encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "latin-1"]))
    def run(raw, encoding):
        read = users_csv.read_people(raw, encoding)
        assert read.rows or read.faults
        assert len({row.name for row in read.rows}) == len(read.rows) or read.faults
        for fault in read.faults:
            assert fault.wrong


BLOBS = st.binary(max_size=200) | st.lists(st.binary(max_size=40), max_size=5).map(
    lambda parts: b"".join(map(text, [b"ssh-ed25519", *parts]))
)


@forms(150, 2000)
def test_no_public_key_is_a_crash(effort):
    pasted = st.one_of(
        ANYTHING,
        st.builds(
            lambda kind, blob, rest: f"{kind} {b64encode(blob).decode()} {rest}",
            st.sampled_from(["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "x"]),
            BLOBS,
            ANYTHING,
        ),
    )

    @fuzz(effort, line=pasted)
    def run(line):
        parsed = public_keys.parse(line)
        assert isinstance(parsed, public_keys.PublicKey | public_keys.KeyFault)


@forms(150, 2000)
def test_no_authenticator_file_is_a_crash(effort):
    @fuzz(
        effort,
        raw=st.binary(max_size=300) | ANYTHING.map(lambda line: f"JBSW\n{line}".encode("utf-8", "replace")),
    )
    def run(raw):
        read = google_authenticator_file.read_file(raw)
        assert isinstance(
            read, google_authenticator_file.AuthenticatorFile | google_authenticator_file.FileFault
        )
