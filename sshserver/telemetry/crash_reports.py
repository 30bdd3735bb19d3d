"""What is said and written when code fails: a reference to the person, type and place to the log.

Neither the words of an exception nor the values of variables are logged: secrets are among them.
"""

import asyncio
import logging
import secrets
from pathlib import PurePath
from typing import Any

_log = logging.getLogger("twofold.crash")
_OWN_PACKAGES = ("data", "sshserver", "tui")


def report(error: BaseException, what: str) -> str:
    """Log where `error` came from while doing `what`, and return the reference that finds it again."""
    reference = secrets.token_hex(4)
    _log.error("%s failed: %s [reference %s]", what, place_of(error), reference)
    return reference


def words_for(reference: str) -> str:
    """Return what the person in front of the terminal is told."""
    return f"Something went wrong and this session had to end. Reference for your administrator: {reference}"


def place_of(error: BaseException) -> str:
    """Return an exception's type and where it was raised, such as `KeyError at tui/app.py:12`."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    innermost = own = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        innermost = f"{'/'.join(PurePath(code.co_filename).parts[-2:])}:{trace.tb_lineno}"
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] in _OWN_PACKAGES:
            own = innermost
        trace = trace.tb_next
    called_from = f" (called from {own})" if own and own != innermost else ""
    return f"{type(error).__name__} at {innermost or 'an unknown place'}{called_from}"


def contain_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Make `loop` report errors that nobody awaited by type and place only."""
    loop.set_exception_handler(_report_loop_error)


def _report_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        report(error, "A background task")
    else:
        # Without an exception asyncio's message is a fixed sentence; the rest of the context holds values.
        _log.error("The event loop says: %s", context.get("message", "nothing"))
