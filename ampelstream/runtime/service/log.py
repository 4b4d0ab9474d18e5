"""What a worker logs: one structured line for each incident, and libraries' repetitions held back.

An incident (a start, a death, a rebalance, a hang; never an alert) is an ordinary log record with
an event name and fields. People read it as a sentence with the fields behind it, machines as a line
of JSON. Libraries say the same thing many times a second while a broker is away; once is enough.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import msgspec
import stamina.instrumentation

from ampelstream.model.display import LINE, printable, printable_lines

__all__ = ["Incident", "JsonLines", "RepeatFilter", "incident", "log_as_json", "log_retries"]

_LOG = logging.getLogger(__name__)
_LIBRARIES = ("aiokafka", "asyncio", "faust", "kafka", "mode")
_SERVICES = ("ampelstream.runtime.faust", "ampelstream.runtime.safefaust")
_KEPT = 500
"""Messages whose repetitions are counted at a time."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What happened.

    Attributes
    ----------
    event
        Short fixed name, such as ``worker_died``, to search for and to alert on.
    text
        A sentence for people.
    fields
        Facts: numbers, names, lists. Never a secret.
    """

    event: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.fields.items())
        return f"{self.text} ({facts})" if facts else self.text


def incident(log: logging.Logger, level: int, event: str, text: str, /, **fields: Any) -> None:
    """Log an incident.

    Parameters
    ----------
    log
        Logger of the module where it happens.
    level
        As in `logging`.
    event
        Short fixed name.
    text
        A sentence for people, without the facts.
    **fields
        The facts.
    """
    what = Incident(event, text, fields)
    log.log(level, "%s", what, extra={"incident": what}, stacklevel=2)


class JsonLines(logging.Formatter):
    """Formats every record as one line of JSON.

    Keys: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``event`` (``log`` for what is no
    incident), ``message``, the fields of the incident under ``fields``, ``traceback``. What JSON
    does not know is written as its `str`; NaN is null. Text from outside is made printable here,
    too: people read these lines on terminals.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, without the line end."""
        what = getattr(record, "incident", None)
        if not isinstance(what, Incident):
            what = Incident("log", record.getMessage())
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": what.event,
            "message": printable(what.text, LINE),
        }
        if what.fields:
            line["fields"] = _shown(what.fields)
        if record.exc_info:
            line["traceback"] = printable_lines(self.formatException(record.exc_info))
        return msgspec.json.encode(line, enc_hook=printable).decode()


def _shown(value: Any) -> Any:
    """The facts of an incident with the texts in them made printable."""
    if isinstance(value, str):
        return printable(value, LINE)
    if isinstance(value, Mapping):
        return {_shown(key): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(one) for one in value]
    return value


def log_as_json(stream: IO[str] | None = None, level: int = logging.INFO) -> None:
    """Send all logs of the process to a stream as lines of JSON, and nowhere else.

    Parameters
    ----------
    stream
        Where to; standard error by default.
    level
        The least level that is written.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


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


class RepeatFilter(logging.Filter):
    """Passes a message of a library once in a while, with the number of its repetitions.

    Our own messages pass, but for what Faust's services say of themselves under the names of our
    modules: that is passed as a library's, and only from warnings on.

    Parameters
    ----------
    seconds
        How long the same message is held back [s]. The same: of one logger, with one template.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, seconds: float = 30.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message passes."""
        if record.name.startswith(_SERVICES) and str(record.msg).startswith("[^"):
            if record.levelno < logging.WARNING:
                return False
        elif record.name.split(".", 1)[0] not in _LIBRARIES:
            return True
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
