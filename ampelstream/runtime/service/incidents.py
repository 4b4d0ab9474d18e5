"""One structured line for each incident: a start, a death, a rebalance, a hang; never an alert.

An incident is an ordinary log record with an event name and fields. People read it as a sentence
with the fields behind it, machines as a line of JSON.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any

import msgspec

from ampelstream.model.display import LINE, printable, printable_lines

__all__ = ["Incident", "JsonLines", "incident", "log_as_json"]


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
