"""Signing in over SSH with codes that are sent."""

import asyncio

import asyncssh
import pytest
from support.database import OPERATOR, PASSWORD, World
from support.fake_backend import CODE, FakeBackend, session
from support.fake_backend import PASSWORD as GATE_PASSWORD
from support.mail_server import HOST, mail_server
from support.ssh_server import AnsweringClient, connect, running_server

from data.delivery.carriers import Carriers, Smtp
from data.operations.policy import policy_settings
from data.operations.signin.admission import Admitted, Attempt, TurnedAway
from data.operations.signin.code_verification import CodeWrong
from data.operations.signin.dialogue import CheckCode, SendCode
from data.operations.signin.first_factor import CodeNeeded
from data.operations.signin.sent_codes import CodeSent, NotSent
from data.rules.domain_types import Application, FirstFactor, Method
from data.rules.sent_codes import RECOVERY_FIRST
from data.rules.source_addresses import Origin
from sshserver.auth_backend import StoreBackend
from sshserver.compat.hooks import AuthOutcome
from sshserver.limits.limit_values import Limits
from sshserver.signin.conversation import Ask, Conversation, Reply

APP, SMS, EMAIL = Method.APP, Method.SMS, Method.EMAIL
SENT = CodeSent(EMAIL, "a•••@example.org")
BOTH = "Verification code (s: text message, e: e-mail): "
WHAT = "Type a code, a recovery code, s to get a code by text message, or e to get a code by e-mail."
BY_EMAIL = "Type a code, a recovery code, or e to get a code by e-mail."


def passed(*methods: Method, limits: Limits | None = None) -> tuple[Conversation, Attempt]:
    """Return a conversation whose first factor has passed by a key."""
    attempt = Attempt(1, "a", Origin(Application.SSH, "::1"), FirstFactor.KEY, "", methods=methods)
    talk = Conversation(limits or Limits())
    talk.begin()
    talk.take_key(CodeNeeded(attempt))
    return talk, attempt


@pytest.mark.feature("choose-at-sign-in")
def test_methods_are_offered():
    """Nothing is sent unasked."""
    talk, attempt = passed(APP, SMS, EMAIL)
    assert talk.open_exchange() == Ask(BOTH, WHAT)
    assert talk.answer(["e"]) == SendCode(attempt, EMAIL)
    assert talk.take_sent(SENT) == Ask(BOTH, f"{SENT.message} {WHAT}")
    assert talk.answer([CODE]) == CheckCode(attempt, CODE)
    assert talk.take_code(CodeWrong(6)) == Ask(BOTH, f"Wrong code, 6 attempts left. {WHAT}")


def test_only_method_is_sent_at_once():
    """It is sent once."""
    talk, attempt = passed(EMAIL)
    assert talk.open_exchange() == SendCode(attempt, EMAIL)
    assert talk.take_sent(SENT) == Ask("Verification code (e: e-mail): ", f"{SENT.message} {BY_EMAIL}")
    assert talk.open_exchange() == Ask("Verification code (e: e-mail): ", BY_EMAIL)
    assert talk.answer([" E "]) == SendCode(attempt, EMAIL)


@pytest.mark.feature("sending-no-attempt")
def test_unsent_code_is_no_wrong_answer():
    talk, _ = passed(SMS, EMAIL)
    talk.open_exchange()
    talk.answer(["s"])
    assert talk.take_sent(NotSent("Not now.")) == Ask(BOTH, f"Not now. {WHAT}")
    assert (talk.wrong_answers, talk.sent_codes) == (0, 0)


def test_letter_that_is_not_offered():
    """It is an answer like any other."""
    talk, attempt = passed(APP, EMAIL)
    talk.open_exchange()
    assert talk.answer(["s"]) == CheckCode(attempt, "s")


def test_asking_for_codes_without_end_ends():
    talk, _ = passed(EMAIL, limits=Limits(sign_in_requests=5))
    talk.open_exchange()
    answers = [talk.answer(["e"]) for _ in range(5)]
    assert answers[-1] is Reply.FAILURE


def test_who_is_turned_away_while_asking_is_told():
    talk, _ = passed(APP, EMAIL)
    talk.open_exchange()
    talk.answer(["e"])
    assert talk.take_sent(TurnedAway("Locked.")) == Ask(None, "Locked.")
    assert talk.outcome is AuthOutcome.PARTIAL_SUCCESS
    assert talk.session is None


def test_a_right_code_admits():
    talk, _ = passed(EMAIL)
    talk.open_exchange()
    talk.take_sent(SENT)
    talk.answer([CODE])
    assert talk.take_code(Admitted(session())) is Reply.SUCCESS


def test_recovery_codes_alone():
    """The user is asked for one and told why."""
    talk, attempt = passed()
    assert talk.open_exchange() == Ask("Recovery code: ", RECOVERY_FIRST)
    assert talk.answer(["e"]) == CheckCode(attempt, "e")
    assert talk.take_code(CodeWrong(6)) == Ask(
        "Recovery code: ", "Wrong code, 6 attempts left. Type a recovery code."
    )


class MailReader(AnsweringClient):
    """Answers the question for a code with what the mail server has received by then."""

    def __init__(self, mail, *answers: str) -> None:
        super().__init__(list(answers))
        self.mail = mail

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts):
        if not self.answers:
            self.answers.append(self.mail.code)
        return super().kbdint_challenge_received(name, instructions, lang, prompts)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.methods(APP, EMAIL)
    for name in ("anna", "bert"):
        world.user(name)
    world.enrol("anna")
    world.enrol_email("anna")
    world.enrol_email("bert")
    world.clock.forward(hours=2)
    yield world
    world.close()


@pytest.mark.feature("masked", "smtp")
@pytest.mark.parametrize(
    ("name", "answers", "prompt"),
    [
        ("anna", (PASSWORD, "e"), "Verification code (e: e-mail): "),
        ("bert", (PASSWORD,), "Verification code (e: e-mail): "),
    ],
)
async def test_a_code_by_a_real_mail_server_signs_in(world, name, answers, prompt):
    async with mail_server() as mail:
        backend = StoreBackend(world.store, Carriers(Smtp(HOST, mail.port, "t@clinic.example", "none")))
        async with running_server(backend) as running:
            client = MailReader(mail, *answers)
            async with asyncssh.connect(
                HOST,
                running.port,
                username=name,
                client_factory=lambda: client,
                client_keys=None,
                known_hosts=None,
                config=None,
                agent_path=None,
            ):
                pass
    assert client.asked[-1] == prompt
    assert client.told[-1] == (
        f"A code was sent by e-mail to {name[0]}***@clinic.example. It is good for 15 minutes. {BY_EMAIL}"
    )
    assert len(mail.messages) == 1
    assert "signin.admitted" in world.events(user=name)


@pytest.mark.feature("carrier-down")
async def test_mail_server_down(world):
    """The user is told, and the app still signs in."""
    backend = StoreBackend(world.store, Carriers(Smtp(HOST, 1, "t@clinic.example", "none")))
    async with running_server(backend) as running:
        connection, client = await connect(running.port, "anna", [PASSWORD, "e", world.live_code("anna")])
        connection.close()
    assert client.told == [
        BY_EMAIL,
        f"The code could not be sent by e-mail right now. Choose another method, or try again. {BY_EMAIL}",
    ]
    assert world.row("anna").attempts_left == 7


@pytest.mark.feature("left-with-codes")
async def test_recovery_code_before_the_wizard(world):
    """A user left without a method types one."""
    world.run(policy_settings.set_methods, OPERATOR, frozenset({APP}), seen=frozenset({APP, EMAIL}))
    async with running_server(StoreBackend(world.store, Carriers())) as running:
        answers = [PASSWORD, "123456", world.recovery["bert"][0]]
        connection, client = await connect(running.port, "bert", answers)
        connection.close()
    assert client.asked == ["Password: ", "Recovery code: ", "Recovery code: "]
    assert client.told == [RECOVERY_FIRST, "Wrong code, 6 attempts left. Type a recovery code."]
    assert world.events(user="bert", last=3) == ["recovery.used", "signin.restricted", "signin.ended"]


class SlowReader(AnsweringClient):
    """Answers the question after the code was sent later than the first deadline."""

    async def kbdint_challenge_received(self, _name: str, instructions: str, _lang: str, prompts):
        if not prompts or self.answers:
            return [self.answers.pop(0) for _ in prompts]
        await asyncio.sleep(1.2)
        return [CODE]


@pytest.mark.feature("wait-for-sent-code")
@pytest.mark.parametrize(("answers", "comes_in"), [(["e"], True), ([], False)])
async def test_the_connection_waits_for_a_code_that_was_sent(answers, comes_in):
    limits = Limits(second_factor_seconds=1.0, sent_code_seconds=60.0)
    async with running_server(FakeBackend(methods=(APP, EMAIL)), limits) as running:
        client = SlowReader([GATE_PASSWORD, *answers])
        signing_in = asyncssh.connect(
            HOST,
            running.port,
            username="alice",
            client_factory=lambda: client,
            client_keys=None,
            known_hosts=None,
            config=None,
            agent_path=None,
        )
        if comes_in:
            (await signing_in).close()
        else:
            with pytest.raises(asyncssh.Error):
                await signing_in
