"""Why a worker ends: what it says, and with which exit code.

Code 70 is a defect of ours and nothing else. What the world does to a worker (brokers that are
away, a disk that is full, a state directory that somebody removed, a start that was given up) has
the code 1, and what no new start mends has 78.
"""

import asyncio
import logging

from aiokafka.errors import KafkaError

from ampelstream.errors import AmpelstreamError, ConfigError
from ampelstream.runtime.safefaust.failures import SafeFaustError, SettingsError
from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.log import CRASHED, Incident

__all__ = ["code_of", "say_why"]

_WORLD = (AmpelstreamError, SafeFaustError, KafkaError, OSError, TimeoutError, MemoryError)
"""What may go wrong without a defect of ours."""


def code_of(error: BaseException | None) -> ExitCode:
    """Exit code of a process that ends by this error; None: something ended that never should."""
    if isinstance(error, ConfigError | SettingsError):
        return ExitCode.CONFIGURATION
    if isinstance(error, _WORLD):
        return ExitCode.FAILED
    if isinstance(error, asyncio.CancelledError):
        return ExitCode.FAILED  # Faust cancels its start where a part of it failed
    return ExitCode.CRASHED


def say_why(log: logging.Logger, error: BaseException | None, *, step: str | None = None) -> int:
    """Log why the process ends, in one line; a defect with its traceback. Gives the exit code.

    Parameters
    ----------
    log
        Logger of the module that ends it.
    error
        What ended it.
    step
        In which step, if it was in one.
    """
    code = code_of(error)
    fields = {"exit_code": int(code), "error": type(error).__name__}
    fields |= {} if step is None else {"step": step}
    if code is ExitCode.CRASHED:
        what = Incident(CRASHED, "a defect; please report it with these lines", fields)
        trace = None if error is None else (type(error), error, error.__traceback__)
        log.critical("%s", what, extra={"incident": what}, exc_info=trace)
        return code
    event = "misconfigured" if code is ExitCode.CONFIGURATION else "failed"
    what = Incident(event, _one_line(_in_words(error)), fields)
    log.error("%s", what, extra={"incident": what})
    return code


def _one_line(text: str) -> str:
    """Its lines behind each other; what a line with a colon announces follows that."""
    first, *others = (line.strip() for line in text.split("\n"))
    for line in others:
        first += f" {line}" if first.endswith(":") else f"; {line}"
    return first


def _in_words(error: BaseException | None) -> str:
    """Its message; of an error that is none of ours with its class, and what may have led to it."""
    if isinstance(error, AmpelstreamError | SafeFaustError):
        return str(error)
    if isinstance(error, asyncio.CancelledError):
        return "its start was given up, since a part of it failed; a new start tries again"
    name = type(error).__name__
    if isinstance(error, KafkaError):
        return f"the brokers failed: {name}: {error}; see that they are up"
    return f"the system failed: {name}: {error}; look at the disk, the directories and the network"
