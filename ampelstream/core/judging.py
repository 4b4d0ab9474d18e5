"""What the channels say of alerts: of many at once, and of one.

A channel's filters are asked in their order, and the first that rejects an alert gives the reason.
As long as they can judge columns, they do so for all alerts of a batch together; from the first one
that cannot, what is left is asked alert by alert. Both ways give the same verdicts.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ampelstream.core.accounting import CountKey
from ampelstream.core.boundary import Failure, asked, attempt, attempt_unit
from ampelstream.errors import AmpelstreamError, UnitError
from ampelstream.model.alert import Alert
from ampelstream.model.alertbatch import AlertBatch, Asked
from ampelstream.model.alertfacts import Fact, fact
from ampelstream.model.lightcurve import Datapoint
from ampelstream.topology import BoundUnit, Channel
from ampelstream.units import AlertFilter, Verdict, Verdicts

__all__ = [
    "OTHER_SURVEY",
    "Accepted",
    "Judged",
    "Outcome",
    "asked_of",
    "facts_asked_of",
    "judge",
    "rejection",
]

Filters = Sequence[BoundUnit[AlertFilter]]
OTHER_SURVEY = "survey"
"""Reason of a channel for alerts of a survey that it does not ask for."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What goes on of an alert that a channel accepts."""

    object_id: str
    survey: str
    candid: int
    jd: float
    ra: float
    dec: float
    datapoints: Sequence[Datapoint]
    facts: dict[str, Fact] = field(default_factory=dict)

    @classmethod
    def of(
        cls, alert: Alert, datapoints: Sequence[Datapoint], fields: Collection[str] = ()
    ) -> Self:
        """Take it from an alert that was decoded by itself; ``fields``: what units ask for."""
        of = (alert.object_id, alert.survey, alert.candid, alert.jd, alert.ra, alert.dec)
        return cls(*of, datapoints, {name: fact(alert.candidate.get(name)) for name in fields})


class Outcome(NamedTuple):
    """What the channels have said of an alert.

    Attributes
    ----------
    accepted
        Names of channels that accept it.
    rejected
        Reasons of channels that reject it, by their names.
    open
        Channels that must be asked alert by alert, with the filters that are left; None: with their
        condition, too.
    counts
        What is to be counted of it.
    is_settled
        Whether nothing is left to be done but that.
    """

    accepted: Sequence[str]
    rejected: Mapping[str, str]
    open: Sequence[tuple[Channel, Filters | None]]
    counts: Sequence[CountKey]
    is_settled: bool


class _Said(NamedTuple):
    """What one channel says of a batch: for each alert 0, or the number of a reason, from 1."""

    channel: Channel
    codes: npt.NDArray[np.int16]
    reasons: Sequence[str]
    left: Filters | None
    asks: bool
    raised: bool = False


class Judged:
    """A batch, and what the channels say of its alerts.

    Parameters
    ----------
    batch
        The alerts.
    said
        By the channels, in their order.
    fields
        Of the alerts' own detections: what units ask for.

    Attributes
    ----------
    batch
        The alerts.
    outcomes
        What the channels say of each; None of what is no alert.
    jds
        Julian dates [d, UTC] of the alerts.
    """

    def __init__(
        self, batch: AlertBatch, said: Sequence[_Said], fields: Collection[str] = ()
    ) -> None:
        self.batch = batch
        self._fields = fields
        self._blames = len(batch) > 1 and any(one.raised for one in said)
        self._said = said
        made: dict[tuple[int, ...], Outcome] = {}
        self.outcomes: list[Outcome | None] = []
        for codes in zip(*(one.codes.tolist() for one in said), strict=True):
            known = made.get(codes)
            if known is None:
                known = made[codes] = self._made(codes)
            self.outcomes.append(known)
        for row in batch.faults:
            self.outcomes[row] = None
        self.jds: list[float] = batch.jd.tolist()
        self._datapoints: Mapping[int, list[Datapoint] | AmpelstreamError] | None = None
        self._facts: Mapping[int, dict[str, Fact] | AmpelstreamError] = {}

    def _made(self, codes: tuple[int, ...]) -> Outcome:
        accepted: list[str] = []
        left: list[tuple[Channel, Filters | None]] = []
        counts: list[CountKey] = []
        rejected: dict[str, str] = {}
        for code, one in zip(codes, self._said, strict=True):
            if code:
                reason = one.reasons[code - 1]
                rejected[one.channel.name] = reason
                counts.append(("rejected", one.channel.name, reason))
            elif one.asks:
                left.append((one.channel, one.left))
            else:
                accepted.append(one.channel.name)
        settled = not accepted and not left
        if settled:
            counts.append(("rejected_by_all", next(iter(rejected.values()), "")))
        return Outcome(accepted, rejected, left, counts, settled)

    def is_to_be_alone(self, row: int) -> bool:
        """Whether an alert is to be judged as a batch of its own.

        So it is where a filter failed on this one and the alert is open: which of them is to blame
        shows only then.
        """
        outcome = self.outcomes[row]
        return self._blames and outcome is not None and bool(outcome.open)

    def alert(self, row: int) -> Accepted:
        """What goes on of an alert.

        Raises
        ------
        DecodeError
            Its history is corrupt.
        """
        if self._datapoints is None:
            accepted = [
                n for n, one in enumerate(self.outcomes) if one is not None and one.accepted
            ]
            self._datapoints = self.batch.datapoints(accepted)
            if self._fields:
                self._facts = self.batch.facts(accepted, self._fields)
        points = self._datapoints.get(row)
        if points is None:
            points = self.batch.datapoints([row])[row]
        if isinstance(points, AmpelstreamError):
            raise points
        facts = self._facts.get(row)
        if facts is None:
            facts = self.batch.facts([row], self._fields)[row] if self._fields else {}
        if isinstance(facts, AmpelstreamError):
            raise facts
        batch = self.batch
        return Accepted(
            object_id=batch.object_id(row),
            survey=batch.survey,
            candid=batch.candid(row),
            jd=self.jds[row],
            ra=batch.ra[row].item(),
            dec=batch.dec[row].item(),
            datapoints=points,
            facts=facts,
        )


def facts_asked_of(channels: Iterable[Channel]) -> dict[str, frozenset[str]]:
    """Fields of accepted alerts that units ask for, by survey; of one without any, nothing."""
    asked: dict[str, frozenset[str]] = {}
    for channel in channels:
        if channel.alert_fields:
            asked[channel.survey] = asked.get(channel.survey, frozenset()) | channel.alert_fields
    return asked


def asked_of(channels: Iterable[Channel]) -> dict[str, Asked]:
    """What the channels ask of every alert of their surveys."""
    asked: dict[str, Asked] = {}
    for channel in channels:
        own = Asked(channel.where.names)
        for bound in channel.filters:
            own |= bound.unit.asks() or Asked()
        asked[channel.survey] = asked.get(channel.survey, Asked()) | own
    return asked


def judge(channels: Sequence[Channel], batch: AlertBatch, fields: Collection[str] = ()) -> Judged:
    """Ask the channels of many alerts, as far as they can be asked together.

    ``fields`` are those that units ask for of alerts that pass.
    """
    return Judged(batch, [_judge(channel, batch) for channel in channels], fields)


def _judge(channel: Channel, batch: AlertBatch) -> _Said:
    codes = np.zeros(len(batch), np.int16)
    if channel.survey != batch.survey:
        return _Said(channel, codes + 1, (OTHER_SURVEY,), (), asks=False)
    holds = channel.where.mask(batch)
    if holds is None:
        return _Said(channel, codes, (), None, asks=True)
    codes[~holds] = 1
    reasons = ["where"]
    for number, bound in enumerate(channel.filters):
        verdicts = _verdicts(bound.unit, batch)
        if verdicts is None or isinstance(verdicts, Failure):
            left, raised = channel.filters[number:], verdicts is not None
            return _Said(channel, codes, reasons, left, asks=True, raised=raised)
        passing = codes == 0
        codes[passing] = np.where(verdicts.codes > 0, verdicts.codes + len(reasons), 0)[passing]
        reasons += verdicts.reasons
    return _Said(channel, codes, reasons, (), asks=False)


def _verdicts(unit: AlertFilter, batch: AlertBatch) -> Verdicts | Failure | None:
    """What a filter says; None where it must be asked alert by alert."""
    return None if unit.asks() is None else attempt(_judged, unit, batch)


def _judged(unit: AlertFilter, batch: AlertBatch) -> Verdicts:
    """What a filter says, if it can be that.

    Raises
    ------
    UnitError
        It has not a code for each alert, or one without a reason.
    """
    verdicts = unit.judge(batch)
    codes = np.asarray(verdicts.codes)
    fits = codes.shape == (len(batch),) and np.issubdtype(codes.dtype, np.integer)
    if not fits or ((codes < 0) | (codes > len(verdicts.reasons))).any():
        raise UnitError(f"{type(unit).__name__} gave no code of a reason for each alert")
    return Verdicts(codes, tuple(reason or _unnamed(unit) for reason in verdicts.reasons))


def _unnamed(unit: AlertFilter) -> str:
    """Name of a filter's rule that gives no reason: an empty one would stand for none."""
    return type(unit).__name__


def rejection(
    channel: Channel,
    alert: Alert,
    filters: Filters | None = None,
    count: Callable[[str, str, str], object] = lambda *_: None,
) -> str | Failure:
    """First rule of a channel that rejects one alert; empty where it passes.

    Parameters
    ----------
    channel
        Whose rules.
    alert
        Which alert.
    filters
        Only these of its filters; None for all that the channel asks.
    count
        Told of each filter that is asked: ``unit_runs``, channel and filter.

    Returns
    -------
    str or Failure
        A failure where a filter raises, or gives no verdict: those behind it are not asked.
    """
    if filters is None:
        if channel.survey != alert.survey:
            return OTHER_SURVEY
        holds = attempt(channel.where.holds, alert.candidate)
        if isinstance(holds, Failure):
            return holds
        if not holds:
            return "where"
        filters = channel.filters
    for bound in filters:
        count("unit_runs", channel.name, bound.name)
        verdict = attempt_unit(bound, "evaluate", _verdict, bound, alert)
        if isinstance(verdict, Failure):
            return verdict
        if not verdict.accept:
            return verdict.reason or _unnamed(bound.unit)
    return ""


def _verdict(bound: BoundUnit[AlertFilter], alert: Alert) -> Verdict:
    return asked(bound.unit.evaluate(alert))
