"""`twofold-verify`: asks the running server on this host whether a user may sign in.

It imports the standard library only, and little of that, not even `typing`: it runs at each use of sudo.
"""

import json
import os
import socket
import sys
import time

ACCEPTED, REJECTED, NO_ANSWER, QUESTION = range(4)
SOCKET = "twofold.sock"
"""The name of the socket in the home."""
LONGEST_LINE = 32_768
_LONGEST_ANSWER = 4_096
_LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes (unix(7) has 107)."""
_RETRY_SECONDS = 5.0
"""How long a socket that nobody listens at is tried again: a worker that died is replaced by then."""
_ANSWER_SECONDS = 60.0
_USAGE = """\
Usage: twofold-verify [NAME] --application APPLICATION [--home DIR] [--transaction ID]

  Ask the running server whether a user may sign in. The answer that the user
  typed (a code, a password or both) is read from standard input up to its first
  newline or NUL.

  Without NAME, the user is that of PAM_USER, which pam_exec sets. The home is
  that of TWOFOLD_HOME, or the default of `twofold`, unless --home names it. Only
  its owner and root can ask.

Exit status:
  0  accepted
  1  rejected; why, if it may be said, is on standard error
  2  wrong usage, or no answer
  3  a question, which is printed with its ID. Answer it with --transaction ID
"""


class UsageError(Exception):
    """The command line is wrong; the message says how."""


def main() -> int:
    """Ask, print what was answered, and return the exit status."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        sys.stdout.write(_USAGE)
        return ACCEPTED
    try:
        home, question = _question(sys.argv[1:], dict(os.environ))
        return _said(ask(home, question))
    except UsageError as error:
        _complain(f"{error} See: twofold-verify --help")
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        _complain("No server is running there. Start it with `twofold serve`, or name its home with --home.")
    except PermissionError:
        _complain("Only the owner of the home and root may ask. Run this as one of them.")
    except (OSError, ValueError):
        _complain("The server gave no answer. See its log.")
    return NO_ANSWER


def ask(home: str, question: dict[str, str]) -> dict[str, str]:
    """Send a question to the server of a home, and return its answer.

    Raises:
        OSError: when there is no answer.
        ValueError: when the answer is none.
    """
    with _connected(home) as connection:
        connection.sendall(json.dumps(question).encode() + b"\n")
        answer = b""
        while chunk := connection.recv(LONGEST_LINE):
            answer += chunk
    told: dict[str, str] = json.loads(answer)
    return told


def address_in(home: str, folder: int, name: str = SOCKET) -> str:
    """Return the path of a socket in `home`; a long one goes through its open `folder` (proc(5))."""
    path = os.path.join(home, name)
    return path if len(os.fsencode(path)) <= _LONGEST_PATH else f"/proc/self/fd/{folder}/{name}"


def _connected(home: str) -> socket.socket:
    until = time.monotonic() + _RETRY_SECONDS
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_ANSWER_SECONDS)
            try:
                connection.connect(address_in(home, folder))
            except ConnectionRefusedError:
                connection.close()
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            except OSError:
                connection.close()
                raise
            else:
                return connection
    finally:
        os.close(folder)


def _question(arguments: list[str], environment: dict[str, str]) -> tuple[str, dict[str, str]]:
    options = {"--application": "", "--home": environment.get("TWOFOLD_HOME", ""), "--transaction": ""}
    names = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if option in options:
            if not equals and not left:
                raise UsageError(f"{option} needs a value.")
            options[option] = value if equals else left.pop(0)
        elif word.startswith("-"):
            raise UsageError(f"There is no option {option}.")
        else:
            names.append(word)
    if len(names) > 1:
        raise UsageError("Name one user.")
    if not options["--application"]:
        raise UsageError("Name the application with --application.")
    user = names[0] if names else environment.get("PAM_USER", "")
    if not user:
        raise UsageError("Name the user, or set PAM_USER.")
    question = {"application": options["--application"], "user": user, "pass": _answer()}
    if options["--transaction"]:
        question["transaction_id"] = options["--transaction"]
    return options["--home"] or _default_home(environment), question


def _answer() -> str:
    """Read what the user typed: pam_exec ends it with a NUL, a person with a newline."""
    if os.isatty(0):
        from getpass import getpass  # noqa: PLC0415 - only a person at a terminal needs it.

        return getpass("Answer: ")
    typed = b""
    while not (b"\0" in typed or b"\n" in typed) and (chunk := os.read(0, _LONGEST_ANSWER)):
        typed += chunk
        if len(typed) > _LONGEST_ANSWER:
            raise UsageError("The answer on standard input is too long.")
    return typed.partition(b"\0")[0].partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "surrogateescape")


def _default_home(environment: dict[str, str]) -> str:
    """Return what `twofold` takes for its home if none is named."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/twofold")
    data = environment.get("XDG_DATA_HOME", "").strip()
    return os.path.join(data or os.path.expanduser("~/.local/share"), "twofold")


def _said(answer: dict[str, str]) -> int:
    result, message = answer.get("result"), answer.get("message", "")
    if result == "accept":
        return ACCEPTED
    if result == "challenge":
        sys.stdout.write(f"{message}\n{answer['transaction_id']}\n")
        return QUESTION
    if result == "reject":
        if message:
            _complain(message)
        return REJECTED
    _complain(message or "The server gave an answer that is not known here.")
    return NO_ANSWER


def _complain(message: str) -> None:
    sys.stderr.write(f"twofold-verify: {message}\n")
