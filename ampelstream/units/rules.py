"""Rules of a filter, written once: for one alert, and for the columns of many.

A rule looks at `Fields`, whose values are numbers where there is one alert and arrays where there
are many, and is written so that it does not matter: comparisons joined by ``&`` and ``|``. The
first rule of a table that rejects is the reason.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from ampelstream.errors import UnitError
from ampelstream.model.alert import Alert
from ampelstream.model.alertbatch import AlertBatch
from ampelstream.model.flags import flag_number
from ampelstream.units.contract import ACCEPT, Verdict, Verdicts

__all__ = ["Fields", "Rule", "evaluate", "judge"]

C = TypeVar("C")


class Fields(Protocol):
    """Fields of the alert's own detection, and what its history comes to."""

    def __call__(self, name: str) -> Any:
        """Number in a field; NaN where there is none."""
        ...

    def null(self, name: str) -> Any:
        """Whether a field is null, or NaN as tables without nulls have it, or not there."""
        ...

    def flag(self, name: str) -> Any:
        """What a field says that means yes or no, as `flag_number`; NaN where it says neither."""
        ...

    def has(self, name: str) -> bool:
        """Whether the alert has a field of that name, be it null."""
        ...

    def detections(self) -> Any:
        """Number of detections, the alert's own included."""
        ...

    def timespan(self) -> Any:
        """Time from the first detection to the last [d]."""
        ...


class Rule(NamedTuple, Generic[C]):
    """What rejects an alert.

    Attributes
    ----------
    reason
        Its name.
    fields, cuts
        What it looks at, and the cuts that it compares with.
    rejects
        Whether it rejects.
    applies
        Whether it is asked at all.
    """

    reason: str
    fields: Sequence[str]
    cuts: Sequence[str]
    rejects: Callable[[C, Fields], Any]
    applies: Callable[[C, Fields], bool] = lambda _cuts, _fields: True


class _OfAlert:
    """Fields of one alert."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self._jds: list[float] | None = None

    def __call__(self, name: str) -> float:
        value = self._alert.candidate.get(name)
        if value is None:
            return np.nan
        if not isinstance(value, int | float):
            raise UnitError(f"{name} is {value!r:.80}, not a number")
        return float(value)

    def null(self, name: str) -> bool:
        value = self._alert.candidate.get(name)
        return value is None or (isinstance(value, float) and math.isnan(value))

    def flag(self, name: str) -> float:
        return flag_number(self._alert.candidate.get(name))

    def has(self, name: str) -> bool:
        return name in self._alert.candidate

    def _times(self) -> list[float]:
        if self._jds is None:
            self._jds = self._alert.detection_jds()
        return self._jds

    def detections(self) -> int:
        return len(self._times())

    def timespan(self) -> float:
        return max(self._times()) - min(self._times())


class _OfBatch:
    """Fields of many alerts."""

    def __init__(self, batch: AlertBatch) -> None:
        self._batch = batch
        self._flags: dict[str, npt.NDArray[np.float64]] = {}
        self._history: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None = None

    def __call__(self, name: str) -> npt.NDArray[np.float64]:
        kind = self._batch.kind(name)
        if kind in {"number", "bool"}:
            return self._batch.number(name)[0]
        if kind is None:
            return np.full(len(self._batch), np.nan)
        raise UnitError(f"{name} has no column of numbers")

    def null(self, name: str) -> npt.NDArray[np.bool_]:
        kind = self._batch.kind(name)
        if kind is None:
            return np.ones(len(self._batch), bool)
        if kind == "text":
            return self._batch.nulls(name)
        return np.isnan(self._batch.number(name)[0])

    def flag(self, name: str) -> npt.NDArray[np.float64]:
        if name not in self._flags:
            if self._batch.kind(name) == "other":
                raise UnitError(f"{name} has no column")
            self._flags[name] = self._batch.flags(name)
        return self._flags[name]

    def has(self, name: str) -> bool:
        return self._batch.kind(name) is not None

    def _told(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Numbers of detections, and the times that they span."""
        if self._history is None:
            offsets, jds = self._batch.epochs()
            own = self._batch.jd
            sizes = np.diff(offsets)
            first, last = own.copy(), own.copy()
            some = sizes > 0  # reduceat would give an empty history the time of its neighbour
            begins = offsets[:-1][some]
            if len(begins):
                first[some] = np.minimum(own[some], np.minimum.reduceat(jds, begins))
                last[some] = np.maximum(own[some], np.maximum.reduceat(jds, begins))
            self._history = sizes + 1, last - first
        return self._history

    def detections(self) -> npt.NDArray[np.int64]:
        return self._told()[0]

    def timespan(self) -> npt.NDArray[np.float64]:
        return self._told()[1]


def evaluate(rules: Sequence[Rule[Any]], cuts: BaseModel, alert: Alert) -> Verdict:
    """Accept an alert, or reject it with the first rule that does, what it saw, and its cuts."""
    fields = _OfAlert(alert)
    for rule in rules:
        if rule.applies(cuts, fields) and rule.rejects(cuts, fields):
            seen = {name: _seen(fields, alert, name) for name in rule.fields}
            allowed = {name: getattr(cuts, name) for name in rule.cuts}
            return Verdict(accept=False, reason=rule.reason, seen=seen, allowed=allowed)
    return ACCEPT


def _seen(fields: Fields, alert: Alert, name: str) -> Any:
    told: Mapping[str, Callable[[], Any]] = {
        "detections": fields.detections,
        "timespan": fields.timespan,
    }
    return told[name]() if name in told else alert.candidate.get(name)


def judge(rules: Sequence[Rule[Any]], cuts: BaseModel, batch: AlertBatch) -> Verdicts:
    """Do the same with many alerts."""
    fields = _OfBatch(batch)
    codes = np.zeros(len(batch), np.int16)
    with np.errstate(invalid="ignore"):
        for number, rule in enumerate(rules, start=1):
            if rule.applies(cuts, fields):
                passing = codes == 0
                if not passing.any():
                    break
                codes[passing & rule.rejects(cuts, fields)] = number
    return Verdicts(codes, tuple(rule.reason for rule in rules))
