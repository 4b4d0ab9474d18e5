"""The record boundary: the only point of the core where any exception is caught.

Units, filters and codecs are other people's code. Whatever they raise becomes a value here, so that
one bad record or one bad unit never stops the stream and never disappears: it ends in a dead letter
or in a candidate's error. The processors call such code as ``attempt(function, arguments)``, and
look whether they were given a `Failure`.
"""

import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ampelstream.core.accounting import Tally
from ampelstream.errors import AmpelstreamError, StorageError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.model.streams import MAX_RECORD_BYTES, Output

__all__ = ["Failure", "attempt", "attempting", "dead_letter"]

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
    """

    error: str
    reason: str


def _origin(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f" ({last.name} at {last.filename.rsplit('/', 1)[-1]}:{last.lineno})"


def _failure(error: Exception) -> Failure:
    if isinstance(error, AmpelstreamError):
        return Failure(type(error).__name__, str(error))
    return Failure(type(error).__name__, f"{str(error) or 'no message'}{_origin(error)}")


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
    """Keep a record that could not be handled, whole, and count it.

    A value that no stream takes is left out; its coordinates still say where it is.
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
