"""HTTP as applications use it: `curl` against a real server."""

import asyncio
import json
import logging
import socket
from ipaddress import ip_network
from urllib.parse import quote, quote_plus, urlencode

import pytest
from support.database import OPERATOR, PASSWORD
from support.http_server import curl, http_server, verify
from support.mail_server import mail_server

from data.authserver import http_server as tested
from data.authserver.request_slots import OF_ADDRESS
from data.delivery.carriers import Carriers, Smtp
from data.fair_queue import SOURCES
from data.operations.applications import registry
from data.operations.signin.first_factor import NotJudged
from data.rules.applications import Asks
from data.rules.domain_types import Method
from data.storage import models
from data.store import StoreUnavailableError

pytestmark = [pytest.mark.only_on("sqlite"), pytest.mark.usefixtures("curl_program")]
WRONG_TOKEN = "The token is missing, or is not that of an enabled application that asks from this address."
REJECT = {"result": "reject", "message": "The code was not accepted."}


@pytest.mark.feature("applications-http")
async def test_exact_answers(world, token, ben):
    portal = token()
    async with http_server(world.store) as base:
        accepted = await verify(base, portal, user=" Ben", **{"pass": world.code(ben)})
        replayed = await verify(base, portal, user=ben, **{"pass": world.code(ben)})
        unknown = await verify(base, portal, user="nobody", **{"pass": world.code(ben)})
    assert (accepted.status, accepted.json) == (200, {"result": "accept", "user": "ben"})
    assert (replayed.status, replayed.json) == (unknown.status, unknown.json) == (401, REJECT)
    assert {
        name: value for name, value in accepted.headers.items() if name not in ("date", "content-length")
    } == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "server": "Twofold",
    }
    assert replayed.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.feature("applications-http")
async def test_password_then_code(world, token, ben):
    portal = token(Asks.PASSWORD_THEN_CODE)
    async with http_server(world.store) as base:
        asked = await verify(base, portal, user=ben, **{"pass": PASSWORD})
        assert asked.status == 401
        transaction = asked.json.pop("transaction_id")
        question = {key: value for key, value in asked.json.items() if key != "transaction_id"}
        assert question == {"result": "challenge", "message": "Verification code:", "methods": ["app"]}
        answer = {"user": ben, "transaction_id": transaction}
        wrong = await verify(base, portal, **answer, **{"pass": world.wrong_code(ben)})
        right = await verify(base, portal, **answer, **{"pass": world.code(ben)})
        again = await verify(base, portal, **answer, **{"pass": world.code(ben)})
    assert wrong.json == {
        "result": "reject",
        "message": "Wrong code, 6 attempts left.",
    }
    assert right.json == {"result": "accept", "user": ben}
    assert again.json["message"] == "This sign-in has expired. Start again with your password."


@pytest.mark.feature("applications-sent-codes")
async def test_sent_code(world, token):
    """The answer to the password names the mailbox, the code comes by e-mail, and the challenge takes it."""
    world.methods(Method.APP, Method.EMAIL)
    world.enrol_email(world.user("eva"))
    world.clock.forward(minutes=2)
    portal = token(Asks.PASSWORD_THEN_CODE)
    async with mail_server() as mail:
        smtp = Smtp("127.0.0.1", mail.port, "twofold@clinic.example", "none", "", "", "")
        async with http_server(world.store, carriers=Carriers(smtp)) as base:
            asked = await verify(base, portal, user="eva", **{"pass": PASSWORD})
            assert asked.json["result"] == "challenge"
            assert "@clinic.example" in asked.json["message"]
            (message,) = mail.messages
            code = next(word for word in message.get_content().split() if word.isdigit() and len(word) == 6)
            answer = {"user": "eva", "pass": code, "transaction_id": asked.json["transaction_id"]}
            assert (await verify(base, portal, **answer)).json == {"result": "accept", "user": "eva"}


@pytest.mark.feature("applications-http")
async def test_where_a_token_stands(world, token, ben):
    """In the path, as a bearer's, or as X-API-Key; anything else is refused before the body is read."""
    portal = token()
    body = ["--json", json.dumps({"user": ben, "pass": "000000"})]
    async with http_server(world.store) as base:
        for arguments in (
            [f"{base}/{portal}/v1/verify"],
            [f"{base}//{portal}/v1/verify/"],
            [f"{base}/v1/verify", "-H", f"authorization: bearer {portal}"],
            [f"{base}/v1/verify", "-H", f"X-API-Key: {portal}"],
        ):
            assert (await curl(*arguments, *body)).json == REJECT
        for arguments in (
            [f"{base}/v1/verify"],
            [f"{base}/{'x' * 32}/v1/verify"],
            [f"{base}/{portal[:-1]}/v1/verify", "-H", "Authorization: Bearer x"],
            [f"{base}/v1/verify", "-H", f"Authorization: {portal}"],
            [f"{base}/v1/verify?token={portal}"],
        ):
            refused = await curl(*arguments, *body)
            assert refused.status in (403, 404)
            assert portal not in refused.body.decode()
        world.run(registry.disable_application, OPERATOR, "portal")
        refused = await curl(f"{base}/{portal}/v1/verify", *body)
    assert (refused.status, refused.json) == (403, {"error": {"message": WRONG_TOKEN}})


@pytest.mark.feature("applications-http")
async def test_another_network(world, token):
    portal = token(networks=("192.0.2.0/24",))
    async with http_server(world.store) as base:
        assert (await verify(base, portal, user="admin", **{"pass": "123456"})).status == 403


@pytest.mark.feature("applications-privacyidea")
async def test_privacyideas_clients(world, token, ben):
    """Each as it asks: the PAM module, the FreeRADIUS plug-in and the Keycloak provider."""
    portal, form = token(Asks.PASSWORD_THEN_CODE), "application/x-www-form-urlencoded"

    async with http_server(world.store) as base:

        async def ask(agent, body):
            url = f"{base}/{portal}/validate/check"
            found = await curl(url, "-A", agent, "-H", f"Content-Type: {form}", "--data-binary", body)
            assert found.status == 200
            assert found.json["jsonrpc"] == "2.0"
            assert found.json["result"]["status"] is True
            return found.json

        async def code():
            world.clock.forward(seconds=60)
            return world.code(ben)

        question = await ask("PAM/1.0.0", f"pass={quote(PASSWORD, safe='~')}&user={ben}")
        assert question["result"] == {"status": True, "value": False, "authentication": "CHALLENGE"}
        detail = question["detail"]
        assert detail["message"] == "Verification code:"
        assert detail["multi_challenge"] == [
            {
                "serial": "TOTP",
                "type": "totp",
                "client_mode": "interactive",
                "message": "Verification code:",
                "transaction_id": detail["transaction_id"],
            }
        ]
        answer = f"pass={await code()}&transaction_id={detail['transaction_id']}&user={ben}"
        accepted = await ask("PAM/1.0.0", answer)
        assert accepted["result"] == {"status": True, "value": True, "authentication": "ACCEPT"}
        rejected = await ask("PAM/1.0.0", answer)
        assert rejected["result"] == {"status": True, "value": False, "authentication": "REJECT"}
        assert "transaction_id" not in rejected["detail"]

        radius = {"user": ben, "pass": quote(PASSWORD, safe="!*'();:@&=+$,/?#[]"), "client": "192.0.2.7"}
        state = (await ask("FreeRADIUS", urlencode(radius)))["detail"]["transaction_id"]
        accepted = await ask("FreeRADIUS", urlencode({"user": ben, "pass": await code(), "state": state}))
        assert accepted["result"]["value"] is True

        keycloak, agent = (
            {"user": ben, "pass": quote_plus(PASSWORD), "realm": "x"},
            "privacyIDEA-Keycloak/1.4.1",
        )
        transaction = (await ask(agent, urlencode(keycloak)))["detail"]["transaction_id"]
        answer = {"user": ben, "pass": await code(), "transaction_id": quote_plus(transaction)}
        assert (await ask(agent, urlencode(answer)))["result"]["authentication"] == "ACCEPT"


@pytest.mark.feature("applications-privacyidea")
async def test_privacyideas_errors(world, token):
    portal = token()
    async with http_server(world.store) as base:
        missing = await curl(f"{base}/{portal}/validate/check", "-d", "user=ben")
        stranger = await curl(f"{base}/validate/check", "-d", "user=ben&pass=1")
    assert missing.status == 400
    assert missing.json["result"] == {"status": False, "error": {"code": 905, "message": "pass is missing."}}
    assert stranger.status == 403
    assert stranger.json["result"] == {"status": False, "error": {"code": 4033, "message": WRONG_TOKEN}}


@pytest.mark.feature("applications-http")
async def test_basic_credentials(world, token, ben):
    """A browser behind a proxy: asked for a name and an answer, then let in, and never for nothing."""
    portal = token(Asks.PASSWORD_AND_CODE)
    async with http_server(world.store) as base:
        url = f"{base}/{portal}/v1/verify"
        asked = await curl(url, "-X", "POST")
        let_in = await curl(url, "-X", "POST", "-u", f"{ben}:{PASSWORD},{world.code(ben)}")
    assert asked.status == 401
    assert asked.headers["www-authenticate"] == 'Basic realm="Twofold", charset="UTF-8"'
    assert let_in.json == {"result": "accept", "user": ben}


@pytest.mark.feature("applications-http")
async def test_errors(world, token, monkeypatch):
    portal = token()
    ok = {"user": "ben", "pass": "1"}
    async with http_server(world.store) as base:
        url = f"{base}/{portal}/v1/verify"
        found = {
            "get": await curl(url),
            "elsewhere": await curl(f"{base}/{portal}/v1/other"),
            "field": await verify(base, portal, user=7, **{"pass": "1"}),
            "kind": await curl(url, "-d", "user=ben&pass=1"),
            "long": await curl(url, "-H", "Expect:", "--json", "@-", given=b"x" * 40_000),
            "chunked": await curl(
                url, "-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--json", "@-", given=b"x" * 40_000
            ),
            "compressed": await curl(url, "-H", "Content-Encoding: gzip", "--json", json.dumps(ok)),
            "health": await curl(f"{base}/health"),
            "health head": await curl(f"{base}/health", "-I"),
            "cors": await curl(url, "-X", "OPTIONS", "-H", "Origin: https://x.example"),
        }
        monkeypatch.setattr(world.store, "read", lambda *_: unavailable())
        found["down"] = await curl(url, "--json", json.dumps(ok))
    too_long = {"field": "body", "message": "The body must have at most 32768 bytes."}
    assert {name: (answer.status, answer.json) for name, answer in found.items() if answer.body} == {
        "get": (405, {"error": {"message": "Ask with POST."}}),
        "elsewhere": (
            404,
            {"error": {"message": "The path was not found. Ask at /v1/verify or /validate/check."}},
        ),
        "field": (400, {"error": {"field": "user", "message": "user must be a string."}}),
        "kind": (
            415,
            {"error": {"field": "Content-Type", "message": "Content-Type must be application/json."}},
        ),
        "long": (413, {"error": too_long}),
        "chunked": (413, {"error": too_long}),
        "compressed": (415, {"error": {"field": "body", "message": "The body must not be compressed."}}),
        "health": (200, {"status": "ok"}),
        "cors": (405, {"error": {"message": "Ask with POST."}}),
        "down": (503, {"error": {"message": str(StoreUnavailableError())}}),
    }
    assert found["get"].headers["allow"] == "POST"
    assert found["health head"].status == 200
    assert found["down"].headers["retry-after"] == "1"
    for answer in found.values():
        assert not {name for name in answer.headers if name.startswith("access-control")} | (
            {"set-cookie"} & set(answer.headers)
        )


async def unavailable():
    raise StoreUnavailableError


@pytest.mark.feature("applications-http")
async def test_health_without_a_database(world, monkeypatch):
    async with http_server(world.store) as base:
        monkeypatch.setattr(world.store, "read", lambda *_: unavailable())
        assert (await curl(f"{base}/health")).status == 503


@pytest.mark.feature("applications-http")
async def test_address_of_a_user(world, token, ben):
    """Only a named proxy is believed, and of what it says, the last address that is not a proxy's."""
    portal, named = token(), (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))
    told = ("-H", "X-Forwarded-For: 198.51.100.9, 203.0.113.7, 10.1.1.1")
    cases = [(named, told, "203.0.113.7"), ((), told, "127.0.0.1")]
    cases += [(named, (), "127.0.0.1")]
    cases += [(named, ("-H", f"X-Forwarded-For: {no}"), "127.0.0.1") for no in ("rubbish", "203.0.113.0/24")]
    for proxies, headers, expected in cases:
        world.clock.forward(seconds=60)
        async with http_server(world.store, proxies=proxies) as base:
            answer = await verify(base, portal, *headers, user=ben, **{"pass": world.code(ben)})
        assert answer.json["result"] == "accept"
        entry = models.AuditEntry.select().order_by(models.AuditEntry.id.desc()).get()
        assert (entry.application, entry.address) == ("portal", expected)


@pytest.mark.feature("applications-http")
async def test_password_that_was_not_judged_is_not_rejected(world, token, ben):
    portal, full = token(Asks.PASSWORD_THEN_CODE), asyncio.Event()
    async with http_server(world.store) as base:
        queue = [
            asyncio.create_task(world.store.turns.run("hash", f"source {number}", None, full.wait))
            for number in range(SOURCES + 1)
        ]
        await asyncio.sleep(0)
        busy = await verify(base, portal, user=ben, **{"pass": PASSWORD})
        full.set()
        await asyncio.gather(*queue)
    assert (busy.status, busy.headers["retry-after"]) == (429, "1")
    assert busy.json == {"error": {"message": NotJudged.message}}


@pytest.mark.feature("applications-http")
async def test_limits(world, token, monkeypatch):
    """Who sends too much is told to wait; a silent connection is closed, and one too many is hung up on."""
    portal = token()
    monkeypatch.setattr(tested, "REQUESTS_PER_SECOND", 0)
    async with http_server(world.store) as base:
        refused = await verify(base, portal, user="ben", **{"pass": "1"})
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json == {"error": {"message": "Too many requests. Try again in a second."}}
    monkeypatch.undo()
    monkeypatch.setattr(tested, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(tested, "IDLE_SECONDS", 0.5)
    async with http_server(world.store) as base:
        port = int(base.rpartition(":")[2])
        slow = f"POST /{portal}/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{{"
        assert b" 408 " in await raw(port, slow.encode())
        assert await raw(port, b"POST /v1/ver") == b""
    monkeypatch.undo()
    async with http_server(world.store, most_open=8) as base:
        port = int(base.rpartition(":")[2])
        crowd = []
        assert [await is_answered(port, crowd) for _ in range(6)] == [True, True, *[False] * 4]
        for writing in crowd:
            writing.close()
        async with asyncio.timeout(30):
            while not await is_answered(port, crowd):
                await asyncio.sleep(0.05)


@pytest.mark.feature("applications-http")
async def test_client_that_does_not_read(world, monkeypatch):
    """It is not read from while answers wait for it, and is cut off after a while."""
    monkeypatch.setattr(tested, "IDLE_SECONDS", 0.5)
    async with http_server(world.store) as base:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", int(base.rpartition(":")[2])))
        _, writing = await asyncio.open_connection(sock=client)
        writing.transport.pause_reading()
        async with asyncio.timeout(60):
            while await is_sent(writing, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000):
                pass
        assert (await curl(f"{base}/health")).status == 200


async def raw(port, sent):
    """Send something and return what comes until the server closes."""
    reading, writing = await asyncio.open_connection("127.0.0.1", port)
    writing.write(sent)
    async with asyncio.timeout(30):
        found = await reading.read(1 << 16)
    writing.close()
    return found


async def is_sent(writing, sent):
    """Send something, and say whether the connection is still open."""
    try:
        writing.write(sent)
        await writing.drain()
    except ConnectionError:
        return False
    return True


async def is_answered(port, crowd):
    """Say whether a connection is not hung up on, and leave it open."""
    try:
        reading, writing = await asyncio.open_connection("127.0.0.1", port)
        crowd.append(writing)
        writing.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return b" 200 " in await reading.readline()
    except ConnectionError:
        return False


@pytest.mark.feature("applications-http")
async def test_slots_while_users_are_slowed(world, token, ben, monkeypatch):
    """Those of one address that wait after wrong codes do not fill the server."""
    portal = token()
    waiting = asyncio.Event()

    async def slowed(_verifier, _asking, request):
        if request.from_address == "203.0.113.7":
            await waiting.wait()
        return await real(_verifier, _asking, request)

    real = tested.Verifier.verify
    monkeypatch.setattr(tested.Verifier, "verify", slowed)
    async with http_server(world.store, proxies=(ip_network("127.0.0.1"),)) as base:
        theirs = ("-H", "X-Forwarded-For: 203.0.113.7")
        crowd = [
            asyncio.ensure_future(verify(base, portal, *theirs, user=ben, **{"pass": "000000"}))
            for _ in range(OF_ADDRESS + 1)
        ]
        done, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status for task in done] == [429]
        assert (await verify(base, portal, user=ben, **{"pass": world.code(ben)})).status == 200
        waiting.set()
        await asyncio.gather(*crowd)


@pytest.mark.feature("applications-http")
async def test_nothing_in_the_log(world, token, ben, caplog):
    """Neither a token in a path nor an answer is logged, whatever goes wrong with the request."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "twofold")
    portal, known = token(), world.code(ben)
    async with http_server(world.store) as base:
        await curl(f"{base}/{portal}/validate/check", "-d", f"user={ben}&pass={known}")
        await curl(f"{base}/{portal}/nowhere")
        await curl(f"{base}/{portal[::-1]}/v1/verify", "--json", json.dumps({"user": ben, "pass": known}))
        port = int(base.rpartition(":")[2])
        for sent in (
            f"POST /{portal} HTTP/9.9\r\n\r\n",
            f"\x16\x03 /{portal}\r\n\r\n",
            f"GET /{portal}\x00 HTTP/1.1\r\n\r\n",
        ):
            answer = await raw(port, sent.encode())
            assert b" 400 " in answer
            assert portal.encode() not in answer
    assert "from 127.0.0.1 had a token that is not accepted" in caplog.text
    (answered,) = (record for record in caplog.records if record.message == "application.answered")
    assert answered.fields["ms"] > 0
    assert {**answered.fields, "ms": 0} == {"application": "portal", "result": "accept", "ms": 0}
    for secret in (portal, portal[::-1], known):
        assert secret not in caplog.text


@pytest.mark.feature("applications-http")
async def test_stopping(world, token, ben, monkeypatch):
    """A request under way is answered; the port is closed."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*arguments):
        begun.set()
        await go_on.wait()
        return await real(*arguments)

    real = tested.Verifier.verify
    monkeypatch.setattr(tested.Verifier, "verify", slow)
    portal = token()
    async with http_server(world.store) as base:
        asking = asyncio.ensure_future(verify(base, portal, user=ben, **{"pass": world.code(ben)}))
        await begun.wait()
        asyncio.get_running_loop().call_later(0.2, go_on.set)
    assert (await asking).json == {"result": "accept", "user": ben}
    with pytest.raises(AssertionError, match="Failed to connect"):
        await curl(f"{base}/health")
