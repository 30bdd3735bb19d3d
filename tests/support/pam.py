"""Asking PAM as sudo and sshd do, with rules in a folder instead of /etc/pam.d."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

_SUCCESS = 0
_PROMPTS = (1, 2)
"""PAM_PROMPT_ECHO_OFF and PAM_PROMPT_ECHO_ON."""


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Converse = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("converse", _Converse), ("data", ctypes.c_void_p))


def require_module(name: str, package: str) -> None:
    """Skip the test by the name of the package, or fail in CI, where a module of PAM is missing."""
    if not list(Path("/").glob(f"lib/*/security/{name}")):
        if os.environ.get("CI"):
            pytest.fail(f"{package} is missing, and CI must not skip", pytrace=False)
        pytest.skip(f"{package} is not installed")


def authenticate(folder: Path, service: str, user: str, answers: Sequence[str]) -> tuple[bool, list[str]]:
    """Authenticate a user by the rules of a service; return the result, and what was asked and said."""
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL("libc.so.6")
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    left, said = list(answers), []

    @_Converse
    def converse(count, messages, responses, _data):
        made = libc.calloc(count, ctypes.sizeof(_Response))
        for number in range(count):
            message = messages[number].contents
            said.append((message.text or b"").decode())
            if message.style in _PROMPTS:
                answer = libc.strdup((left.pop(0) if left else "").encode())
                _Response.from_address(made + number * ctypes.sizeof(_Response)).text = answer
        responses[0] = made
        return _SUCCESS

    handle = ctypes.c_void_p()
    started = pam.pam_start_confdir(
        service.encode(),
        user.encode(),
        ctypes.byref(_Conversation(converse, None)),
        str(folder).encode(),
        ctypes.byref(handle),
    )
    assert started == _SUCCESS
    result = pam.pam_authenticate(handle, 0)
    pam.pam_end(handle, result)
    return result == _SUCCESS, said
