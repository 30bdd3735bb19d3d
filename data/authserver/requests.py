"""What an application asks, read from JSON, a form or Basic credentials; a fault names the field."""

import json
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, unquote_plus

from data.operations.applications.asking import VerifyRequest
from data.rules.safe_text import safe

BODY_BYTES: Final = 32_768
"""The longest body: the longest fields fit, percent-encoded twice."""
_LONGEST: Final = {"user": 256, "pass": 1_024, "transaction_id": 256}
"""The fields, and how many characters each may have."""
_MOST_FIELDS: Final = 32
_LONGEST_NAME: Final = 40
"""Characters of an unknown field's name that an answer repeats."""

_ENCODED: Final = re.compile(r"(?=.*%)(?:[A-Za-z0-9._~!*'();:@&=+$,/?#\[\]-]|%[0-9A-Fa-f]{2})+")
"""A text that is still percent-encoded: every character may stand in a URI (RFC 3986 section 2)."""


@dataclass(frozen=True, slots=True)
class RequestFault:
    """A request that cannot be read: the field at fault, and what is wrong with it."""

    field: str
    problem: str

    @property
    def message(self) -> str:
        """The fault in a sentence."""
        return f"{self.field} {self.problem}."


def read_json(body: bytes) -> VerifyRequest | RequestFault:
    """Read a JSON object with the strings `user` and `pass`, and perhaps `transaction_id`."""
    fields = json_fields(body)
    return fields if isinstance(fields, RequestFault) else read_fields(fields)


def read_fields(fields: Mapping[str, object]) -> VerifyRequest | RequestFault:
    """Read the fields of such an object."""
    unknown = next((name for name in fields if name not in _LONGEST), None)
    if unknown is not None:
        return RequestFault(
            safe(unknown, _LONGEST_NAME), f"is not a field. The fields are {', '.join(_LONGEST)}"
        )
    return _asked(fields)


def json_fields(body: bytes) -> dict[str, object] | RequestFault:
    """Read a JSON object in which no name stands twice."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return RequestFault("body", "must be a JSON object in UTF-8, in which no name stands twice")
    return found if isinstance(found, dict) else RequestFault("body", "must be a JSON object")


def read_form(body: bytes, user_agent: str) -> VerifyRequest | RequestFault:
    """Read a form as privacyIDEA's clients send it; fields that only privacyIDEA needs are ignored.

    The FreeRADIUS plug-in sends the transaction as `state`.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
        texts = {name: _once_more(str(value), user_agent) for name, value in _unique(pairs).items()}
    except ValueError:
        return RequestFault("body", "must be a form in UTF-8, in which no name stands twice")
    fields: dict[str, object] = {name: texts[name] for name in _LONGEST if name in texts}
    if texts.get("state"):
        fields.setdefault("transaction_id", texts["state"])
    return _asked(fields)


def _once_more(text: str, user_agent: str) -> str:
    """Decode a text again if its client encodes twice, as Keycloak's provider and the FreeRADIUS plug-in do.

    Of an unknown client, a text that is still encoded is decoded; a password that looks like that must be
    sent encoded twice, as to privacyIDEA itself. Keycloak's provider first writes a space as +.
    """
    agent = user_agent.lower()
    if agent.startswith("pam/"):
        return text
    if "keycloak" in agent:
        return unquote_plus(text, errors="strict")
    return unquote(text, errors="strict") if _ENCODED.fullmatch(text) else text


def read_basic(credentials: str) -> VerifyRequest | RequestFault:
    """Read what a browser sends with `Authorization: Basic` (RFC 7617)."""
    try:
        user, colon, answer = b64decode(credentials, validate=True).decode("utf-8").partition(":")
    except (NotBase64, ValueError):
        user = colon = answer = ""
    if not colon:
        return RequestFault("Authorization", "must hold a name and an answer in Base64")
    return _asked({"user": user, "pass": answer})


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError
        found[name] = value
    return found


def _asked(fields: Mapping[str, object]) -> VerifyRequest | RequestFault:
    texts = {"user": "", "pass": "", "transaction_id": ""}
    for name, longest in _LONGEST.items():
        value = fields.get(name)
        if value is None and name == "transaction_id":
            continue
        if value is None:
            return RequestFault(name, "is missing")
        if not isinstance(value, str):
            return RequestFault(name, "must be a string")
        if len(value) > longest:
            return RequestFault(name, f"must have at most {longest} characters")
        if not value.isascii() and not _is_unicode(value):
            return RequestFault(name, "must be Unicode text")
        texts[name] = value
    if not texts["user"]:
        return RequestFault("user", "is empty")
    return VerifyRequest(texts["user"], texts["pass"], texts["transaction_id"] or None)


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogates, which JSON's escapes allow."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
