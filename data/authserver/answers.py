"""What an application is answered: the documents of `/v1/verify` and of privacyIDEA's `/validate/check`."""

from datetime import datetime
from typing import Final

from data.operations.applications.asking import Accept, Challenge, Reject, Verdict
from data.rules.domain_types import Method
from data.rules.safe_text import safe

Document = dict[str, object]

_VERSION: Final = "privacyIDEA 3.9"
"""The version whose answers these are; its clients read no more than its number."""
_TYPES: Final = {Method.APP: "totp", Method.SMS: "sms", Method.EMAIL: "email"}
"""What privacyIDEA calls the kinds of a second factor."""
_CODES: Final = {403: 4033, 429: 903, 503: 903}
"""privacyIDEA's codes of errors by status: no token, and a fault of the server."""
_BAD_PARAMETER: Final = 905
NOT_ACCEPTED: Final = 401


def document(verdict: Verdict) -> Document:
    """Return the answer of `/v1/verify`: its `result` is `accept`, `reject` or `challenge`."""
    match verdict:
        case Accept(name, message):
            return {"result": "accept", "user": name, **_said(message)}
        case Challenge(transaction_id, message, methods):
            return {
                "result": "challenge",
                "transaction_id": transaction_id,
                "message": safe(message),
                "methods": [method.value for method in methods],
            }
        case Reject(message):
            return {"result": "reject", **_said(message)}


def error_document(message: str, field: str | None = None) -> Document:
    """Return an error, which names the field at fault if there is one."""
    return {"error": {"message": message} if field is None else {"field": field, "message": message}}


def status_of(verdict: Verdict) -> int:
    """Return the status of `/v1/verify`: only 200 means accepted, so that who reads no more is safe."""
    return 200 if isinstance(verdict, Accept) else NOT_ACCEPTED


def privacyidea_document(verdict: Verdict, now: datetime) -> Document:
    """Return the answer that privacyIDEA's clients expect; a rejection names no transaction."""
    match verdict:
        case Accept(_, message):
            return _enveloped(True, "ACCEPT", {"message": safe(message) or "Accepted."}, now)
        case Challenge(transaction_id, message, methods):
            shown = safe(message)
            challenges = [
                {
                    "serial": _TYPES[method].upper(),
                    "type": _TYPES[method],
                    "client_mode": "interactive",
                    "message": shown,
                    "transaction_id": transaction_id,
                }
                for method in methods or (Method.APP,)
            ]
            detail: Document = {
                "transaction_id": transaction_id,
                "message": shown,
                "messages": [shown],
                "client_mode": "interactive",
                "preferred_client_mode": "interactive",
                "multi_challenge": challenges,
            }
            return _enveloped(False, "CHALLENGE", detail, now)
        case Reject(message):
            return _enveloped(False, "REJECT", {"message": safe(message)}, now)


def privacyidea_error(status: int, message: str, now: datetime) -> Document:
    """Return an error as privacyIDEA's clients expect it."""
    code = _CODES.get(status, _BAD_PARAMETER)
    return _around({"status": False, "error": {"code": code, "message": message}}, None, now)


def _said(message: str) -> Document:
    return {"message": safe(message)} if message else {}


def _enveloped(value: bool, authentication: str, detail: Document, now: datetime) -> Document:
    return _around({"status": True, "value": value, "authentication": authentication}, detail, now)


def _around(result: Document, detail: Document | None, now: datetime) -> Document:
    """Put a result into its envelope (JSON-RPC 2.0)."""
    return {
        "jsonrpc": "2.0",
        "id": 2 if detail else 1,
        "result": result,
        "detail": detail,
        "version": _VERSION,
        "versionnumber": _VERSION.rpartition(" ")[2],
        "time": now.timestamp(),
    }
