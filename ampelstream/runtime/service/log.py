"""What a worker logs: one line for each incident, for people or for machines.

An incident (a start, a death, a rebalance, a hang; never an alert) is an ordinary log record with
an event name and fields. As text it is one line of columns (time in UTC, level, process, step and
partition, event, a sentence with the facts behind it), as JSON one object; neither is ever wrapped.
What else a process says on standard error (a library's print, a warning of Python) becomes such a
line, too. Python's fault handler alone writes past the log: the stacks of a process that hangs.
"""

import asyncio
import io
import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any

import msgspec

from ampelstream.model.display import LINE, printable, printable_lines

__all__ = ["CRASHED", "Incident", "JsonLines", "TextLines", "incident", "set_up_log"]

CRASHED = "crashed"
"""Event of a defect: the only one whose traceback is written whole in the text form."""
_LOG = logging.getLogger(__name__)
_NOWHERE = "-"
_SEVERAL = re.compile(r"\s*\n\s*")


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
        Facts: numbers, names, lists. Never a secret. ``worker`` (an index), ``step`` and
        ``partition`` say where it happened.
    """

    event: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={_fact(value)}" for name, value in self.fields.items())
        return f"{self.text} ({facts})" if facts else self.text


def _fact(value: Any) -> str:
    """A fact in a sentence: lists without quotes, numbers without the digits nobody reads."""
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(_fact, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def incident(log: logging.Logger, level: int, event: str, text: str, /, **fields: Any) -> None:
    """Log an incident.

    Parameters
    ----------
    log
        Logger of the module where it happens.
    level
        As in `logging`: nothing that is normal (a rebalance, a stop, brokers that are away for
        seconds) is a warning or an error.
    event
        Short fixed name.
    text
        A sentence for people, without the facts.
    **fields
        The facts; see `Incident`.
    """
    what = Incident(event, text, fields)
    log.log(level, "%s", what, extra={"incident": what}, stacklevel=2)


def _incident_of(record: logging.LogRecord) -> Incident:
    """The incident of a record; that of a plain record is called after its logger."""
    what = getattr(record, "incident", None)
    if isinstance(what, Incident):
        return what
    ours = record.name.startswith("ampelstream.")
    name = record.name.rpartition(".")[2] if ours else record.name
    return Incident(name, record.getMessage())


def _moment(record: logging.LogRecord) -> str:
    text = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _in_short(error: BaseException) -> str:
    """An exception in a part of a line: what, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].name} at {frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"


class TextLines(logging.Formatter):
    """Formats every record as one line of columns, whatever the width of a terminal.

    Only a defect (event `CRASHED`) has its traceback below, each line of it indented. Text from
    outside is made printable here.

    Parameters
    ----------
    who
        Name of the process: ``worker-0``, ``supervisor``.
    """

    def __init__(self, who: str) -> None:
        super().__init__()
        self._who = who

    def format(self, record: logging.LogRecord) -> str:
        """One line, without the line end."""
        what = _incident_of(record)
        fields = dict(what.fields)
        step, partition = fields.pop("step", _NOWHERE), fields.pop("partition", None)
        where = step if partition is None else f"{step}/{partition}"
        said = str(Incident(what.event, what.text, fields))
        if record.exc_info and record.exc_info[1] is not None:
            said = f"{said}: {_in_short(record.exc_info[1])}"
        columns = (_moment(record), f"{record.levelname:<7}", self._who, where, f"{what.event}:")
        line = printable(" ".join([*map(str, columns), _SEVERAL.sub("; ", said)]), LINE)
        if record.exc_info and what.event == CRASHED:
            below = printable_lines(self.formatException(record.exc_info), indent="    ")
            line = f"{line}\n    {below}"
        return line


class JsonLines(logging.Formatter):
    """Formats every record as one line of JSON.

    Keys: ``time`` (UTC, ISO 8601), ``level``, ``worker``, ``step`` and ``partition`` where they are
    known, ``event`` (``log`` for what is no incident), ``message``, the other facts under
    ``fields``, ``logger``, ``traceback``. What JSON does not know is written as its `str`; NaN is
    null. Text from outside is made printable here, too: people read these lines on terminals.

    Parameters
    ----------
    worker
        Index of the worker that logs; None in a process that is none.
    """

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """One line, without the line end."""
        what = getattr(record, "incident", None)
        if not isinstance(what, Incident):
            what = Incident("log", record.getMessage())
        fields = dict(what.fields)
        place = {"worker": fields.pop("worker", self._worker)}
        place |= {name: fields.pop(name, None) for name in ("step", "partition")}
        line: dict[str, Any] = {"time": _moment(record), "level": record.levelname.lower()}
        line |= {name: _shown(value) for name, value in place.items() if value is not None}
        line |= {"event": what.event, "message": printable(what.text, LINE)}
        if fields:
            line["fields"] = _shown(fields)
        line["logger"] = record.name
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


class _Lines(logging.StreamHandler[Any]):
    """Writes the lines; when nobody reads them any more, the work goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (name of logging's)
        """Say what could not be said, in one line; by itself logging prints a traceback."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):  # nobody reads, or there is no room
            return
        text = f"a line could not be written: {type(error).__name__}"
        instead = logging.makeLogRecord({"name": record.name, "levelname": "ERROR", "msg": text})
        try:
            self.stream.write(self.format(instead) + self.terminator)
        except OSError:
            return


class _Printed(io.TextIOBase):
    """Standard error, as libraries and Python itself print to it: each line is logged."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._rest = threading.local()

    def fileno(self) -> int:
        """Of what lies below."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Log the lines that are whole now; a thread's last one waits for its end."""
        whole, end, rest = (getattr(self._rest, "text", "") + text).rpartition("\n")
        self._rest.text = rest
        for line in whole.split("\n") if end else ():
            if line.strip():
                logging.getLogger("stderr").warning("%s", line)
        return len(text)


def set_up_log(
    who: str,
    *,
    worker: int | None = None,
    as_json: bool = False,
    stream: IO[str] | None = None,
    takes_stderr: bool = False,
    level: int = logging.INFO,
) -> logging.Handler:
    """Send all logs of the process to a stream, and nowhere else.

    Parameters
    ----------
    who
        Name of the process in the text form.
    worker
        Its index, if it is a worker.
    as_json
        Which form.
    stream
        Where to; standard error by default.
    takes_stderr
        Whether what is printed to standard error, warnings of Python and uncaught exceptions become
        lines of the log, too.
    level
        The least level that is written.

    Returns
    -------
    logging.Handler
        What writes, to add filters to.
    """
    handler = _Lines(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines(worker) if as_json else TextLines(who))
    root = logging.getLogger()
    root.handlers[:] = [handler]  # the one before is not closed: its stream is standard error
    root.setLevel(level)
    if takes_stderr:
        sys.stderr = _Printed(sys.stderr)
        logging.captureWarnings(capture=True)
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread
    return handler


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _LOG.warning("interrupted")
        return
    what = Incident(CRASHED, "an error that nobody foresaw; please report it")
    _LOG.critical("%s", what, extra={"incident": what}, exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if isinstance(args.exc_value, asyncio.CancelledError):
        # A client that is closed while its brokers are away gives up what it waits for. No defect;
        # that the worker did not stop in time is said by itself.
        name = "a thread" if args.thread is None else args.thread.name
        _LOG.info("%s was closed in the middle of what it waited for", name)
    elif args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
