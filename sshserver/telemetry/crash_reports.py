"""What is reported when code fails: a reference for the user, the type and place for the log.

Neither the message of an exception nor the values of variables are logged, because they may hold secrets.
"""

import asyncio
import logging
import secrets
from pathlib import PurePath
from typing import Any

_log = logging.getLogger("twofold.crash")
_OWN_PACKAGES = ("data", "sshserver", "tui")


def report(error: BaseException, what: str) -> str:
    """Log where `error` arose while doing `what`, and return a reference for finding it in the log."""
    reference = secrets.token_hex(4)
    _log.error("%s failed: %s [reference %s]", what, place_of(error), reference)
    return reference


def words_for(reference: str) -> str:
    """Return the message for the user."""
    return f"An error ended this session. Give your administrator this reference: {reference}"


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
    """Make `loop` report unhandled errors by type and place only."""
    loop.set_exception_handler(_report_loop_error)


def _report_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, BaseException):
        report(error, "A background task")
    else:
        # Without an exception, asyncio's message is a fixed sentence; the rest of the context holds values.
        _log.error("The event loop reported: %s", context.get("message", "nothing"))
