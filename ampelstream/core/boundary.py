"""The record boundary: the only point of the core where any exception is caught.

Units, filters and codecs are other people's code. Whatever they raise becomes a value here, so that
one bad record or one bad unit never stops the stream and never disappears: it ends in a dead letter
or in a candidate's error. The processors call such code as ``attempt(function, arguments)``, and
look whether they were given a `Failure`.
"""

import re
import traceback
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from inspect import getsourcelines
from pathlib import PurePath
from sys import modules
from typing import Any, ParamSpec, TypeVar

from ampelstream.core.accounting import Tally
from ampelstream.errors import AmpelstreamError, StorageError, UnitError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.streams import MAX_RECORD_BYTES, Output
from ampelstream.topology import BoundUnit
from ampelstream.units import Unit, Verdict

__all__ = [
    "Failure",
    "asked",
    "attempt",
    "attempt_unit",
    "attempting",
    "dead_letter",
    "definition",
]

P = ParamSpec("P")
T = TypeVar("T")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong.

    Attributes
    ----------
    error
        Class name of the exception.
    reason
        Its message; with where it was raised, unless it is one of ours, which say enough.
    origin
        Where it was raised, as ``file.py:12``; empty where that is not known.
    unit
        Name of the unit that failed; empty where it was none.
    """

    error: str
    reason: str
    origin: str = ""
    unit: str = ""

    @property
    def kind(self) -> tuple[str, str, str]:
        """What two failures of one cause have in common: unit, error, and where it was raised.

        Where that is not known the message stands for it, whatever its numbers are.
        """
        return self.unit, self.error, self.origin or without_numbers(self.reason)

    def in_short(self, object_id: str) -> str:
        """Error and message without numbers and the object's name, to be counted by."""
        named = rf"(?<!\w){re.escape(object_id)}(?!\w)"
        reason = re.sub(named, "the object", self.reason) if object_id else self.reason
        return f"{self.error}: {without_numbers(reason)}"


_NUMBER = re.compile(r"(?<![\w:.])[+-]?\d+(\.\d+)?([eE][+-]?\d+)?(?!\w)")
"""But no line number of ``file.py:12``, and no digit of a name."""
_REMOTE_FRAME = re.compile(r'^  File "(.+)", line (\d+), in (\S+)', re.MULTILINE)


def without_numbers(text: str) -> str:
    """A message with ``#`` for each number: so that those of one cause are alike."""
    return _NUMBER.sub("#", text)


def _frames(error: Exception) -> Iterator[tuple[str, int, str]]:
    """(file, line, function) from where it was caught to where it was raised."""
    for frame in traceback.extract_tb(error.__traceback__):
        yield frame.filename, frame.lineno or 0, frame.name
    # what was raised in a process of the pool says where in a text, and only there
    if type(error.__cause__).__name__ == "_RemoteTraceback":
        for file, line, function in _REMOTE_FRAME.findall(str(error.__cause__)):
            yield file, int(line), function


def _origin(error: Exception, files: Collection[str] = ()) -> tuple[str, str]:
    """Where it was raised (last of these files, if one of them was involved), and in what."""
    frames = list(_frames(error))
    if not frames:
        return "", ""
    theirs = [frame for frame in frames if frame[0] in files]
    file, line, function = (theirs or frames)[-1]
    return f"{PurePath(file).name}:{line}", function


def _failure(error: Exception) -> Failure:
    origin, function = _origin(error)
    if isinstance(error, AmpelstreamError):
        return Failure(type(error).__name__, str(error), origin)
    where = f" ({function} at {origin})" if origin else ""
    return Failure(type(error).__name__, f"{str(error) or 'no message'}{where}", origin)


@cache
def _files(unit: type[Unit]) -> frozenset[str]:
    """Files that a unit's class and its bases (but those of the contract) were written in."""
    names = {one.__module__ for one in unit.__mro__}
    own = {
        name for name in names if not name.startswith(("pydantic.", "ampelstream.units.contract"))
    }
    found = (getattr(modules.get(name), "__file__", None) for name in own)
    return frozenset(file for file in found if file)


@cache
def definition(unit: type[Unit], method: str) -> str:
    """Where a method of a unit is written, as ``file.py:12``; empty where that is not known."""
    written = getattr(unit, method)
    try:
        return f"{PurePath(written.__code__.co_filename).name}:{getsourcelines(written)[1]}"
    except (AttributeError, OSError, TypeError):
        return ""


def asked(given: object) -> Verdict:
    """Take what a filter gave for the verdict that it must be.

    Raises
    ------
    UnitError
        It is something else.
    """
    if isinstance(given, Verdict):
        return given
    raise UnitError(
        f"evaluate gave {type(given).__name__ if given is not None else 'None'}, and must give a "
        "Verdict on every path: return ACCEPT, or Verdict(accept=False, reason=...)"
    )


def attempt(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Failure:
    """Call it; give its result, or the failure as a value.

    Raises
    ------
    StorageError
        The disk fails: every record would become a dead letter, and none is to blame.
    """
    try:
        return call(*args, **kwargs)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  (this is the record boundary)
        return _failure(error)


def attempt_unit(
    bound: BoundUnit[Any], method: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | Failure:
    """Do the same with a unit's code: the failure names the unit, and the place in its own code.

    Parameters
    ----------
    bound, method
        The unit, and which method of it is called.
    call
        Calls it.
    """
    try:
        return call(*args, **kwargs)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  (this is the record boundary)
        return _unit_failure(bound, method, error)


def _unit_failure(bound: BoundUnit[Any], method: str, error: Exception) -> Failure:
    unit: type[Unit] = type(bound.unit)
    files = _files(unit)
    origin, function = _origin(error, files)
    if not any(file in files for file, _, _ in _frames(error)):
        origin, function = definition(unit, method) or origin, method
    message = str(error) or "no message"
    if not (method == "compute" and isinstance(error, AmpelstreamError)):
        # a result's own words say enough: they are about its input
        message = f"{message} ({unit.__name__}.{function} at {origin})"
    return Failure(type(error).__name__, message, origin, bound.name)


def attempting(
    call: Callable[P, Generator[Y, None, T]], *args: P.args, **kwargs: P.kwargs
) -> Generator[Y, None, T | Failure]:
    """Do the same with an evaluation (see ``evaluation.py``), which may stop and be resumed."""
    try:
        return (yield from call(*args, **kwargs))
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  (this is the record boundary)
        return _failure(error)


def dead_letter(
    tally: Tally,
    where: Coordinates,
    stream: str,
    step: str,
    failure: Failure,
    *,
    member: str = "",
    value: bytes = b"",
) -> Output:
    """Keep what could not be handled, and count it.

    The value is that of a record that cannot be read again from its coordinates. One that no
    stream takes is left out; the coordinates still say where it is.
    """
    reason = failure.reason
    if len(value) + len(reason) > MAX_RECORD_BYTES:
        reason = f"{reason[:10_000]} (its {len(value)} bytes are too many to be kept)"
        value = b""
    tally.count("dead_letters", stream, step, failure.error)
    letter = DeadLetter(
        where=where,
        stream=stream,
        step=step,
        error=failure.error,
        reason=reason,
        member=member,
        value=value,
    )
    return Output("dead-letters", str(where), letter)
