"""How questions come over HTTP and how their answers are worded: our own way, and privacyIDEA's."""

from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from data.authserver import answers
from data.authserver.http_listener import error_answer, json_answer
from data.authserver.requests import RequestFault, read_basic, read_form, read_json
from data.operations.applications.asking import Verdict, VerifyRequest


class Dialect(Protocol):
    """How questions come to one address, and how their answers are worded."""

    def read(self, body: bytes, request: web.BaseRequest) -> VerifyRequest | RequestFault:
        """Read a question from a body and the headers."""
        ...

    def answer(self, verdict: Verdict, now: datetime) -> web.Response:
        """Word an answer."""
        ...

    def fail(self, status: int, message: str, field: str | None, now: datetime) -> web.Response:
        """Word why there is none, with the field at fault if there is one."""
        ...


class _OwnDialect:
    """JSON, or for browsers behind a proxy, Basic credentials and an empty body."""

    def read(self, body: bytes, request: web.BaseRequest) -> VerifyRequest | RequestFault:
        kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            return read_basic(credentials.strip())
        if not body:
            return RequestFault("Authorization", "is missing, and there is no body")
        if request.content_type != "application/json":
            return RequestFault("Content-Type", "must be application/json")
        return read_json(body)

    def answer(self, verdict: Verdict, now: datetime) -> web.Response:  # noqa: ARG002 - the other one needs it.
        status = answers.status_of(verdict)
        return json_answer(status, answers.document(verdict), **_challenge(status))

    def fail(self, status: int, message: str, field: str | None, now: datetime) -> web.Response:  # noqa: ARG002
        return error_answer(status, message, field, **_challenge(status), **_wait(status))


class _PrivacyIdeaDialect:
    """A form, and the answers that privacyIDEA's clients know."""

    def read(self, body: bytes, request: web.BaseRequest) -> VerifyRequest | RequestFault:
        if request.content_type != "application/x-www-form-urlencoded":
            return RequestFault("Content-Type", "must be application/x-www-form-urlencoded")
        return read_form(body, request.headers.get("User-Agent", ""))

    def answer(self, verdict: Verdict, now: datetime) -> web.Response:
        return json_answer(200, answers.privacyidea_document(verdict, now))

    def fail(self, status: int, message: str, field: str | None, now: datetime) -> web.Response:  # noqa: ARG002
        return json_answer(status, answers.privacyidea_error(status, message, now), **_wait(status))


DIALECTS: Final[dict[str, Dialect]] = {
    "v1/verify": _OwnDialect(),
    "validate/check": _PrivacyIdeaDialect(),
}


def _challenge(status: int) -> dict[str, str]:
    """Return the header that makes a browser ask for a name and an answer (RFC 9110 section 11.6.1)."""
    return (
        {"WWW_Authenticate": 'Basic realm="Twofold", charset="UTF-8"'}
        if status == answers.NOT_ACCEPTED
        else {}
    )


def _wait(status: int) -> dict[str, str]:
    return {"Retry_After": "1"} if status in (429, 503) else {}
