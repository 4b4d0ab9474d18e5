"""Object x event x channel: whether it is a candidate, and what the units say of it.

A channel that follows no events has candidates without one: object x channel.

``evaluate`` is a function of what is known of the object and of the event, and of nothing else.
That is why the order of arrival does not matter: whichever came last, the same sets are looked at.
It looks, in this order, whether the object lies in the region of the event, with an alert in its
window (`inside`), whether a match filter rejects the object (`rejection`), and what the channel's
units compute (`run_units`). ``objectstore.py`` calls it for each object, event and channel. It is a
generator, which stops while a heavy unit computes (``evaluation.py``).

A unit's result is named by (unit, configuration, input). Where the object's state already holds a
result of that name, whichever channel or event it was made for, it is taken, and nothing is
computed. That holds for what a unit says of its input, also where it says that there is no result
(UnitError), and not for failures that have another cause (`may_pass`): a sweep tries these again.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from ampelstream.core.accounting import CountKey
from ampelstream.core.boundary import Failure, asked, attempt_unit
from ampelstream.core.evaluation import Evaluation
from ampelstream.core.events import Event
from ampelstream.core.lightcurves import light_curve
from ampelstream.core.state import AcceptedAlert, EventState, ObjectState
from ampelstream.errors import UnitError
from ampelstream.model.alertfacts import AlertFacts
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.digest import digest
from ampelstream.model.lightcurve import LightCurve
from ampelstream.topology import BoundUnit, Channel, Computation, Topology
from ampelstream.units import Dependency, Inputs, MatchFilter, MatchInputs, ObjectUnit, Verdict

__all__ = [
    "ResultCache",
    "evaluate",
    "inside",
    "may_pass",
    "placed",
    "plain",
    "rejection",
    "results_of",
    "run_units",
    "with_evidence",
]


_encode = msgspec.msgpack.Encoder().encode
_in_time = attrgetter("jd", "candid")
ResultCache = dict[tuple[str, str, str], UnitResult]
"""(unit, config hash, input digest) -> result."""


def placed(state: ObjectState) -> LightCurve:
    """Light curve of an object, with the object's position.

    An object has one position, for all channels and events: it is found, matched, mapped and shown
    there. Its anchors are the accepted alerts' own positions: these the filters have judged, and
    the survey has just measured them; a history may tell of another place. Near them all detections
    say where it is.
    """
    anchors = [(alert.ra, alert.dec) for alert in sorted(state.alerts, key=_in_time)]
    return light_curve(state.object_id, state.datapoints, anchors)


def inside(
    channel: Channel, state: ObjectState, event: Event, localisation: tuple[float, str]
) -> list[AcceptedAlert]:
    """Alerts in the window around a trigger that the channel accepted.

    None where the object lies outside of the channel's region.
    """
    t0 = localisation[0]
    if state.pixel not in event.localisations[localisation][channel.region]:
        return []
    first, last = t0 + channel.window[0], t0 + channel.window[1]
    return [
        alert
        for alert in state.alerts
        if first <= alert.jd <= last and channel.name in alert.channels
    ]


def rejection(
    channel: Channel, curve: LightCurve, event: Event, counts: Counter[CountKey] | None = None
) -> tuple[str, tuple[UnitResult, ...]]:
    """Evaluate the object for the event with the channel's match filters.

    Parameters
    ----------
    channel, curve, event
        What is evaluated.
    counts
        Takes how often each filter was asked, and failed.

    Returns
    -------
    reason
        Of the first filter that rejects, as ``FILTER: RULE``; empty where all pass.
    errors
        Of filters that failed, or gave no verdict: they do not reject, the candidate carries their
        error.
    """
    errors: list[UnitResult] = []
    if event.current is None:
        return "", ()
    for bound in channel.match:
        inputs = MatchInputs(lightcurve=curve, event=event.current)
        verdict = attempt_unit(bound, "evaluate", _verdict, bound, inputs)
        if counts is not None:
            count_run(counts, channel, bound, curve.object_id, verdict)
        if isinstance(verdict, Failure):
            errors.append(failed_result(bound, curve.digest, verdict))
        elif not verdict.accept:
            return f"{bound.name}: {verdict.reason or 'no reason given'}", ()
    return "", tuple(errors)


def _verdict(bound: BoundUnit[MatchFilter], inputs: MatchInputs) -> Verdict:
    return asked(bound.unit.evaluate(inputs))


def count_run(
    counts: Counter[CountKey],
    channel: Channel,
    bound: BoundUnit[Any],
    object_id: str,
    outcome: object,
) -> None:
    """Count that a unit or filter ran, and that it failed where its outcome is a failure."""
    counts["unit_runs", channel.name, bound.name] += 1
    if isinstance(outcome, Failure):
        counts["unit_failed", channel.name, bound.name, outcome.in_short(object_id)] += 1


def _status(channel: Channel, state: ObjectState, event: Event | None) -> CandidateStatus | None:
    """Where the object stands; None where no revision of the event ever held it.

    Without an event it is a candidate for as long as the channel accepts one of its alerts.
    """
    if event is None:
        accepted = any(channel.name in alert.channels for alert in state.alerts)
        return CandidateStatus.ACTIVE if accepted else None
    current = event.current_localisation
    if current is not None and inside(channel, state, event, current):
        return CandidateStatus.RETRACTED if event.retracted else CandidateStatus.ACTIVE
    for localisation in event.localisations:
        if localisation != current and inside(channel, state, event, localisation):
            return CandidateStatus.RETRACTED if event.retracted else CandidateStatus.OUTSIDE
    return None


def _seen(
    channel: Channel, state: ObjectState, curve: LightCurve, t0_jd: float | None
) -> LightCurve:
    """Light curve in the channel's time range: what units see, and who reads the candidate."""
    return curve.between(*_range(channel, state, t0_jd))


def _range(channel: Channel, state: ObjectState, t0_jd: float | None) -> tuple[float, float]:
    """First and last time [JD] of what a unit of the channel is told of the object."""
    if t0_jd is not None:
        return t0_jd - channel.before, t0_jd + channel.after
    last = max((one.jd for one in state.alerts if channel.name in one.channels), default=math.inf)
    return (-math.inf if math.isinf(channel.before) else last - channel.before), math.inf


def _rank(channel: Channel, candidate: Candidate) -> float | None:
    """The number that the channel ranks by."""
    if channel.rank_by is None:
        return None
    value = (candidate.result(channel.rank_by.unit) or {}).get(channel.rank_by.field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def evaluate(
    topology: Topology,
    channel: Channel,
    state: ObjectState,
    curve: LightCurve,
    event: Event | None,
    cache: ResultCache,
    counts: Counter[CountKey],
    associated: Sequence[str] = (),
) -> Evaluation[Candidate | None]:
    """Last revision of the candidate, as the state keeps it.

    Parameters
    ----------
    topology, channel
        The workflow and the selection.
    state
        The object.
    curve
        Its light curve, whole (`placed`).
    event
        The event; None for a channel that follows none.
    cache
        Results that need not be computed again; new ones are added.
    counts
        Takes what each unit did: runs, results from the cache, failures.
    associated
        Objects of other surveys whose datapoints are in the light curve.

    Returns
    -------
    Candidate or None
        None where it is no candidate. Without light curve and record coordinates, which
        ``with_evidence`` puts in.
    """
    status = _status(channel, state, event)
    if status is None:
        return None
    t0, revision = None, None
    errors: tuple[UnitResult, ...] = ()
    if event is not None:
        t0 = None if event.current is None else event.current.t0_jd
        reason, errors = rejection(channel, curve, event, counts)
        if t0 is None or reason:
            return None
        revision = event.state.revisions[-1].revision
    seen = _seen(channel, state, curve, t0)
    place = curve.place
    candidate = Candidate(
        object_id=state.object_id,
        event_id="" if event is None else event.event_id,
        channel=channel.name,
        status=status,
        provenance=Provenance(
            topology=topology.name,
            topology_version=topology.version,
            topology_hash=topology.hash,
            lightcurve_digest=seen.digest,
            event_revision="" if revision is None else revision.revision_id,
            event_digest="" if revision is None else revision.content_digest,
            alerts=tuple(a.candid for a in state.alerts if channel.name in a.channels),
        ),
        t0_jd=t0,
        ra=place.ra if place else None,
        dec=place.dec if place else None,
        scatter_arcsec=place.scatter_arcsec if place else None,
        strays=place.strays if place else 0,
        associated=tuple(associated),
    )
    if status is not CandidateStatus.ACTIVE:
        return candidate
    first, last = _range(channel, state, t0)
    alerts = [a for a in state.alerts if channel.name in a.channels and first <= a.jd <= last]
    alerts.sort(key=_in_time)
    results = yield from run_units(channel, seen, event, cache, counts, alerts)
    candidate = msgspec.structs.replace(candidate, results=errors + results)
    return msgspec.structs.replace(candidate, rank=_rank(channel, candidate))


def with_evidence(
    channel: Channel,
    candidate: Candidate,
    state: ObjectState,
    curve: LightCurve,
    event: EventState | None,
) -> Candidate:
    """The candidate with its light curve and the coordinates of the records it came from."""
    records = [a.where for a in state.alerts if channel.name in a.channels]
    records.extend([event.revisions[-1].where] if event is not None and event.revisions else [])
    return msgspec.structs.replace(
        candidate,
        provenance=msgspec.structs.replace(candidate.provenance, records=tuple(records)),
        lightcurve=_seen(channel, state, curve, candidate.t0_jd).datapoints,
    )


# --- running the units --------------------------------------------------------------------------


def may_pass(result: UnitResult) -> bool:
    """Whether the unit failed for another reason than its input.

    What a unit says of its input is a UnitError (``units/contract.py``). All else may be different
    the next time: the pool lost the computation, memory or a disk failed, the unit has a defect.
    """
    return result.error != "" and not result.error.startswith(f"{UnitError.__name__}: ")


def results_of(candidates: Iterable[Candidate], *, again: bool) -> ResultCache:
    """Results that an object's candidates already hold.

    Parameters
    ----------
    candidates
        All of the object.
    again
        Whether failures that may pass are left out, so that they are computed again. A sweep does
        so. An alert does not: it asks for all events around the object, most of them with unchanged
        input, and a unit that always takes too long would take that long for each of them.
    """
    results: ResultCache = {}
    for one in (one for candidate in candidates for one in candidate.results):
        key = (one.unit, one.config_hash, one.input_digest)
        if not may_pass(one) or not (again or key in results):
            results[key] = one
    return results


def _hook(value: Any) -> Any:
    """Numpy scalars and arrays as plain numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a result may hold plain data only, not {type(value).__name__}")


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON cannot say, with None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value


def plain(body: Mapping[str, Any] | msgspec.Struct) -> dict[str, Any]:
    """A unit's result as data that JSON can say.

    Raises
    ------
    TypeError
        It holds something else than numbers, strings, lists and mappings.
    OverflowError, UnicodeEncodeError
        It holds an integer of more than 64 bits, or a text that is no Unicode.
    """
    data = _finite(msgspec.to_builtins(body, str_keys=True, enc_hook=_hook))
    if not isinstance(data, dict):
        raise TypeError(f"a result is a mapping or a struct, not {type(body).__name__}")
    _encode(data)  # what the state cannot hold is this unit's fault, and not its object's
    return data


def _compute(bound: BoundUnit[ObjectUnit], inputs: Inputs) -> dict[str, Any]:
    return plain((bound.compute or bound.unit.compute)(inputs))


def _computed(computation: Computation) -> dict[str, Any]:
    return plain(computation.result())


def _wanted(
    unit: ObjectUnit, done: Sequence[tuple[str, UnitResult]]
) -> list[tuple[str, UnitResult]]:
    """Earlier results that the unit needs or uses, in the topology's order."""
    kinds = {*unit.needs, *unit.uses}
    return [(kind, one) for kind, one in done if kind in kinds]


def _as_input(one: UnitResult) -> tuple[str, ...]:
    """How an earlier result is named in the input of a later unit.

    That it failed follows from its own name, unless that may pass.
    """
    name = (one.name, one.config_hash, one.input_digest)
    return (*name, "failed") if may_pass(one) else name


def _failed_need(unit: ObjectUnit, done: Sequence[tuple[str, UnitResult]]) -> str:
    """Why the unit cannot run: an earlier unit that it needs gave no result."""
    for need in unit.needs:
        results = [one for kind, one in done if kind == need]
        if results and all(one.body is None for one in results):
            return f"needs {need}, but {results[0].name} gave no result"
    return ""


def run_units(
    channel: Channel,
    curve: LightCurve,
    event: Event | None,
    cache: ResultCache,
    counts: Counter[CountKey],
    alerts: Sequence[AcceptedAlert] = (),
) -> Evaluation[tuple[UnitResult, ...]]:
    """Results of the channel's units, in order; those in the cache are not computed again.

    Parameters
    ----------
    channel
        Its units run.
    curve
        Light curve in the channel's time range.
    event
        Gives the current revision and its sky map; None without an event.
    cache
        Known results; what is computed is added.
    counts
        Takes what each unit did.
    alerts
        Those whose fields units may ask for, in the order of time.
    """
    done: list[tuple[str, UnitResult]] = []
    for bound in channel.units:
        wanted = _wanted(bound.unit, done)
        named = [_as_input(one) for _, one in wanted]
        about = event.digest if event is not None and bound.unit.needs_event else ""
        facts = tuple(_facts(bound.unit.alert_fields.get(channel.survey, ()), alerts))
        parts = [curve.digest, curve.place, about, named]
        input_digest = digest([*parts, facts] if facts else parts)
        key = (type(bound.unit).__name__, bound.config_hash, input_digest)
        known = cache.get(key)
        if known is None:
            hindrance = _failed_need(bound.unit, done)
            inputs = _inputs(bound, curve, event, wanted, facts)
            outcome = yield from _run(bound, inputs, hindrance)
            count_run(counts, channel, bound, curve.object_id, outcome)
            if isinstance(outcome, Failure):
                known = failed_result(bound, input_digest, outcome)
            else:
                known = _result(bound, input_digest, body=outcome)
            cache[key] = known
        else:
            counts["unit_cached", channel.name, bound.name] += 1
            if known.name != bound.name:
                known = msgspec.structs.replace(known, name=bound.name)
        done.append((bound.unit.provides, known))
    return tuple(one for _, one in done)


def _facts(names: Sequence[str], alerts: Sequence[AcceptedAlert]) -> Iterator[AlertFacts]:
    """What a unit asks for of these alerts."""
    for one in alerts if names else ():
        fields = {name: one.facts.get(name) for name in names}
        yield AlertFacts(one.candid, one.jd, one.ra, one.dec, fields)


def _inputs(
    bound: BoundUnit[ObjectUnit],
    curve: LightCurve,
    event: Event | None,
    wanted: Sequence[tuple[str, UnitResult]],
    facts: Sequence[AlertFacts],
) -> Inputs:
    return Inputs(
        lightcurve=curve,
        # to others it is not shown: their result is taken for every event with that light curve
        event=event.current if event is not None and bound.unit.needs_event else None,
        skymap=event.skymap() if event is not None and bound.unit.needs_event else None,
        dependencies=tuple(
            Dependency(kind, one.name, one.body) for kind, one in wanted if one.body is not None
        ),
        alerts=facts,
    )


def _run(
    bound: BoundUnit[ObjectUnit], inputs: Inputs, hindrance: str
) -> Evaluation[dict[str, Any] | Failure]:
    """Run one unit; whatever it raises becomes a failure."""
    if hindrance:
        return Failure(UnitError.__name__, hindrance, unit=bound.name)
    if bound.start is None:
        return attempt_unit(bound, "compute", _compute, bound, inputs)
    computation = attempt_unit(bound, "compute", bound.start, inputs)
    if isinstance(computation, Failure):
        return computation
    yield computation
    return attempt_unit(bound, "compute", _computed, computation)


def _result(
    bound: BoundUnit[Any], input_digest: str, *, body: dict[str, Any] | None = None, error: str = ""
) -> UnitResult:
    """Name what was run on what, and say what came out."""
    return UnitResult(
        name=bound.name,
        unit=type(bound.unit).__name__,
        version=bound.unit.version,
        config_hash=bound.config_hash,
        input_digest=input_digest,
        body=body,
        error=error,
    )


def failed_result(bound: BoundUnit[Any], input_digest: str, failure: Failure) -> UnitResult:
    """Give the result of a unit that failed."""
    return _result(bound, input_digest, error=f"{failure.error}: {failure.reason}")
