"""What libraries log: what is normal is left out, and what they repeat is said once in a while.

A broker that restarts, a rebalance and an orderly stop make the Kafka client and Faust say hundreds
of errors a second, and none of them is one: the client tries again, and what matters of it is said
by us (``broker_away``, ``assigned``, the reason why a worker ends). What nobody expects passes.
"""

import logging
import math
import re
import ssl
import time
from collections.abc import Callable

import stamina.instrumentation
from aiokafka.errors import KafkaConnectionError

from ampelstream.runtime.service.log import Incident

__all__ = ["LibraryFilter", "log_retries"]

_LOG = logging.getLogger(__name__)
_LIBRARIES = ("aiokafka", "asyncio", "faust", "kafka", "mode")
_FAUST = ("faust", "mode")
_REPEATED = ("ampelstream.reactions",)
"""Ours that repeat themselves: a sink that takes nothing refuses every message, again and again."""
_KEPT = 500
"""Messages whose repetitions are counted at a time."""
_AWAY = re.compile(
    # aiokafka: brokers that are away, or restart
    "Unable to request metadata from|Unable to update metadata from|No broker metadata found"
    "|Error sending .* -- marking coordinator dead|Heartbeat send request failed"
    "|Failed fetch (messages|offsets) from|Cannot send .* to|Could not send"
    "|Got error produce response"
)
_NORMAL = re.compile(
    # aiokafka: brokers hand over what they lead
    "Group Coordinator Request failed|FindCoordinator Request failed"
    "|Marking the coordinator dead|LeaveGroup request failed|Attempt to fetch offsets for partition"
    "|Received unknown topic or partition error|Error fetching metadata for topic"
    "|Topic .* (is not available during auto-create|not found in cluster metadata)"
    # a member that is out, or that another one waits for; the next commit covers this one
    "|Heartbeat session expired|Heartbeat failed"
    "|OffsetCommit failed (before join|for group .*)|Failed to commit on finallization"
)
_CONNECT = re.compile("Unable connect to")


class LibraryFilter(logging.Filter):
    """Passes what libraries say that is not normal, each message once in a while.

    The normal becomes DEBUG; that a connection was lost becomes one line of INFO, by which a broker
    that restarts can be told: ``connection_lost``. Of Faust and mode only exceptions that they
    swallow pass: those that end an application end the worker, which says why. Faust's services log
    under the names of our modules, too, which is taken as Faust's. Our own messages pass.

    Parameters
    ----------
    seconds
        How long the same message is held back [s]. The same: of one logger, with one template.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, seconds: float = 60.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}
        self._last_lost = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message passes; one that was held back is counted into the next."""
        library = record.name.split(".", 1)[0]
        service = str(record.msg).startswith("[^")
        if library not in _LIBRARIES and not service:
            return not record.name.startswith(_REPEATED) or self._once(record)
        if (library in _FAUST or service) and not _swallowed(record):
            return _demoted(record)
        if _is_lost(record):
            return self._lost(record)
        if _NORMAL.match(str(record.msg)):
            return _demoted(record)
        return self._once(record)

    def _lost(self, record: logging.LogRecord) -> bool:
        """Whether it is the first word of a lost connection; it becomes an incident then.

        As long as such words go on, no other of them passes: that is the same silence, which we say
        ourselves when it becomes long.
        """
        now, last = self._clock(), self._last_lost
        self._last_lost = now
        if now - last < self._seconds:
            return _demoted(record)
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.incident = Incident("connection_lost", record.getMessage())
        return True

    def _once(self, record: logging.LogRecord) -> bool:
        """Whether it was not said lately."""
        key = (record.name, str(record.msg)[:60])
        now = self._clock()
        last, held = self._passed.get(key, (-self._seconds, 0))
        if now - last < self._seconds:
            self._passed[key] = (last, held + 1)
            return False
        if len(self._passed) >= _KEPT:
            self._passed.clear()
        self._passed[key] = (now, 0)
        if held:
            record.msg = f"{record.msg} (and {held} times more)"
        return True


def _swallowed(record: logging.LogRecord) -> bool:
    """Whether Faust logs an exception and goes on; of a crash the worker itself says why."""
    return bool(record.exc_info) and "Crashed reason=" not in str(record.msg)


def _is_lost(record: logging.LogRecord) -> bool:
    """Whether a broker cannot be reached; not: it does not let us in."""
    text = str(record.msg)
    if not _CONNECT.match(text):
        return bool(_AWAY.match(text))
    args = record.args if isinstance(record.args, tuple) else ()
    error = args[-1] if args else None
    return isinstance(error, OSError | KafkaConnectionError) and not isinstance(error, ssl.SSLError)


def _demoted(record: logging.LogRecord) -> bool:
    """Make it DEBUG; whether it passes as that."""
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def log_retries() -> None:
    """Say of what is tried again (with stamina) only at DEBUG what failed; for the whole process.

    A retry that succeeds in the end is no matter for people, and one that does not raises an error
    that says all. By itself stamina would warn of each, and count each in Prometheus' default
    registry, which is not the one that a worker shows.
    """
    stamina.instrumentation.set_on_retry_hooks([_log_retry])


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    # not its repr: that of a failed connection may hold the password of a proxy
    cause = details.caused_by
    _LOG.debug("tried again in %.1f s: %s: %s", details.wait_for, type(cause).__name__, cause)
